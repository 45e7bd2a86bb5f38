"""What `effnet predict` does: classifies some files, or scores a folder into a table.

TensorFlow and Beam are imported only once everything that can be said without them is said.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from components.batch_scoring.listing import as_given, list_folder
from components.batch_scoring.model import find_model
from components.errors import InputError, OutputError
from components.run_report.wording import duration
from pipeline.config import PipelineConfig
from pipeline.preflight import check_reachable
from pipeline.quiet_import import import_quietly
from pipeline.summary import EXIT_INPUT
from pipeline.terminal import STYLES, printable

_SUFFIX = ".parquet"


class Result(BaseModel):
    """What `--json` prints."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: int | None  # null for a SavedModel that isn't among numbered versions

    @property
    def exit_status(self) -> int:
        """Of the command."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Returns one JSON object."""
        return self.model_dump_json(indent=2)


class Prediction(BaseModel):
    """One file: label, score and probabilities by class name, or an error."""

    model_config = ConfigDict(frozen=True)

    file: str
    label: str | None = None
    score: float | None = None
    probabilities: dict[str, float] | None = None
    error: str | None = None


class Predictions(Result):
    """All files, in the order in which they were named."""

    images: tuple[Prediction, ...]

    @property
    def exit_status(self) -> int:
        """0 if every file was classified."""
        return EXIT_INPUT if any(image.error is not None for image in self.images) else 0


class Scoring(Result):
    """What became of a folder; `ignored` are files that are neither images nor TFRecords."""

    output: str
    scored: int
    set_aside: int
    ignored: int
    seconds: float

    @property
    def exit_status(self) -> int:
        """0 if at least one image was scored: an archive has its broken files."""
        return 0 if self.scored else EXIT_INPUT

    def __str__(self) -> str:
        """Sums up in a line."""
        return (
            f"{self.scored} images scored, {self.set_aside} set aside, {self.ignored} other files "
            f"ignored; {duration(self.seconds)}; wrote {self.output}"
        )


def classify(models: Path, files: Sequence[str], config: PipelineConfig) -> Predictions:
    """Classifies files; those that can't be read or decoded have the reason instead.

    Raises:
        InputError: if there is no model, or a folder among the files.
    """
    model = find_model(models)
    for file in files:
        if os.path.isdir(file):
            raise InputError(
                f"'{file}' is a folder: name image files, or --output scores{_SUFFIX} to score "
                "all images below one folder"
            )
    import_quietly("tensorflow")
    from components.batch_scoring.classifier import Classifier

    answers = Classifier(model, config.data).answers(as_given(files))
    images = tuple(
        Prediction(
            file=answer.id,
            label=answer.label,
            score=answer.score,
            probabilities=None
            if answer.probabilities is None
            else dict(zip(model.classes, answer.probabilities.tolist(), strict=True)),
            error=answer.error,
        )
        for answer in answers
    )
    return Predictions(model=model.name, version=model.version, images=images)


def score(
    models: Path,
    folders: Sequence[str],
    output: Path,
    force: bool,
    config: PipelineConfig,
    say: Callable[[str], None],
) -> Scoring:
    """Scores a folder into a Parquet file, and says what it does and what came of it.

    Raises:
        InputError: if there is no model, nothing to score, or no place for the table.
    """
    started = time.monotonic()
    if len(folders) != 1:
        raise InputError(f"with --output one folder is scored, received {len(folders)} paths")
    output = output.expanduser().absolute()
    _check_place(output, force)
    check_reachable(config.beam, output.parent)
    model = find_model(models)
    found = list_folder(Path(folders[0]).expanduser())
    say(f"{len(found.images)} images and {len(found.shards)} files of TFRecords, by {model}")
    import_quietly("tensorflow")
    from components.batch_scoring.scoring import score_folder

    counts = score_folder(found, model, output, config.data, config.beam.arguments)
    scoring = Scoring(
        model=model.name,
        version=model.version,
        output=str(output),
        scored=counts.scored,
        set_aside=counts.set_aside,
        ignored=sum(found.ignored.values()),
        seconds=time.monotonic() - started,
    )
    say(str(scoring))
    return scoring


def print_predictions(predictions: Predictions, console: Console) -> None:
    """Prints a line a file that was classified: score, label, and its name in one piece."""
    images = [image for image in predictions.images if image.error is None]
    width = max((cell_len(printable(image.label or "")) for image in images), default=0)
    for image in images:
        label = set_cell_size(printable(image.label or ""), width)
        console.print(_text(f"{image.score:.4f}  {label}  {image.file}"), soft_wrap=True)


def print_errors(predictions: Predictions, console: Console) -> None:
    """Prints a line a file that could not be classified."""
    for image in predictions.images:
        if image.error is not None:
            console.print(_text(f"{image.file}: {image.error}", STYLES["failed"]), soft_wrap=True)


def _check_place(output: Path, force: bool) -> None:
    if output.suffix != _SUFFIX:
        raise OutputError(f"--output must be named *{_SUFFIX}, received '{output}'")
    if not output.parent.is_dir():
        raise OutputError(f"--output '{output}': there is no folder '{output.parent}'; make it")
    if output.is_dir():
        raise OutputError(f"--output '{output}' is a folder: name a file in it")
    if output.exists() and not force:
        raise OutputError(f"--output '{output}' is there already: add --force to replace it")
    if not os.access(output.parent, os.W_OK):
        raise OutputError(f"--output '{output}': the folder '{output.parent}' is not writable")


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)
