"""`effnet models`: the versions of a model, and which of them serves.

None of these commands takes the output folder's lock, which a run holds for hours: the folder of
a model has a lock of its own, which is held for seconds. Where an InferenceService serves the
model, it is brought to what serves in the folder after that.
"""

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from components import model_versions
from components.errors import InputError, OutputError
from components.model_versions import Version, list_versions, read_hold, serving_version
from components.settings import nearest
from pipeline.cli_parts import ConfigOption, OutputOption, errors_told
from pipeline.layout import Output
from pipeline.lock import usable
from pipeline.models_cluster import bring, service_of
from pipeline.terminal import STYLES, make_console, make_display, printable

models_app = typer.Typer(
    help="The versions of a model: show them, go back, go forward.", no_args_is_help=True
)

ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="Which, where the output has several models."),
]
_VERSION = typer.Argument(metavar="VERSION", min=0, help="Its number.", show_default=False)
_FILE_WIDTH = 200  # a pipe has no width, and an id must stay in one piece
_STYLES = {
    "serving": STYLES["done"],
    "withdrawn": STYLES["waiting"],
    "failed": STYLES["waiting"],
}


@models_app.command("list")
def show(
    output: OutputOption,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """Show every version: which serves, when it was pushed, how accurate it is, by which run."""
    with errors_told(as_json):
        place = Output.existing(output)
        listing = describe(place, model_name(place, model))
        if as_json:
            print(json.dumps(listing, indent=2, ensure_ascii=False))
            return
        console = make_console(sys.stdout)
        if not console.is_terminal:
            console.width = _FILE_WIDTH
        console.print(_table(listing["versions"]))
        for row in listing["versions"]:
            if row["problem"] is not None:
                _note(f"version {row['version']}: {row['problem']}")
        if listing["hold"] is not None:
            _note_hold(place.serving(listing["model"]))


@models_app.command()
def rollback(
    output: OutputOption,
    version: Annotated[int | None, _VERSION] = None,
    model: ModelOption = None,
    config: ConfigOption = None,
) -> None:
    """Go back to VERSION, or the one below the one that serves; runs push nothing until release."""
    with errors_told():
        _switch(output, model, config, partial(model_versions.roll_back, version=version))


@models_app.command()
def promote(
    version: Annotated[int, _VERSION],
    output: OutputOption,
    model: ModelOption = None,
    config: ConfigOption = None,
) -> None:
    """Make VERSION serve, a withdrawn one as well; an older one sets a hold, as rollback does.

    Where VERSION serves in the folder already, the InferenceService alone is brought to it.
    """
    with errors_told():
        promote_it = partial(model_versions.promote, version=version)
        _switch(output, model, config, promote_it, wanted=version)


@models_app.command()
def release(output: OutputOption, model: ModelOption = None) -> None:
    """Let runs push again after a rollback."""
    with errors_told():
        model_dir = _model_dir(output, model)
        with usable(model_dir):
            hold = model_versions.release(model_dir)
        _note(f"pushing was {hold}; runs push again" if hold else "no hold is set: runs push")


def model_name(output: Output, asked: str | None) -> str:
    """Returns the name of the model that is meant.

    Raises:
        InputError: if there is none, no such one, or several and none of them is named.
    """
    models = output.models()
    if not models:
        raise InputError(f"no model was ever pushed to '{output.root}': 'effnet run' pushes one")
    if asked is not None:
        try:
            return nearest(asked, models, "model")
        except ValueError as error:
            raise InputError(f"{error} (--model, in '{output.root}')") from None
    if len(models) > 1:
        raise InputError(
            f"'{output.root}' has several models: {', '.join(models)}; name one with --model"
        )
    return models[0]


def describe(output: Output, model: str) -> dict[str, Any]:
    """Returns the versions of a model, the newest first, and its hold, as JSON values.

    Metrics are those of the test split when the version was pushed; {} where none were recorded.
    `problem` tells what of a version can't be read.
    """
    model_dir = output.serving(model)
    hold = read_hold(model_dir)
    versions = [_row(version) for version in reversed(list_versions(model_dir))]
    serving = [row["version"] for row in versions if row["state"] == "serving"]
    return {
        "model": model,
        "serving": serving[0] if serving else None,
        "hold": None if hold is None else asdict(hold),
        "versions": versions,
    }


def _row(version: Version) -> dict[str, Any]:
    facts, training, metrics, problem = {}, {}, {}, None
    try:
        facts, training, metrics = version.facts, version.training, version.metrics
    except OutputError as error:
        problem = str(error)
    return {
        "version": version.number,
        "state": version.state,
        "path": str(version.path),
        "pushed_at": facts.get("pushed_at"),
        "run_id": facts.get("run_id"),
        "backbone": training.get("backbone"),
        "metrics": metrics,
        "problem": problem,
    }


def _table(versions: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("version", justify="right", no_wrap=True)
    for heading in ("state", "pushed (UTC)", "accuracy", "images", "backbone", "run"):
        table.add_column(heading, overflow="fold")
    for row in versions:
        accuracy, images = (row["metrics"].get(name) for name in ("accuracy", "examples"))
        cells = [
            str(row["version"]),
            row["state"],
            str(row["pushed_at"] or "-")[:16].replace("T", " "),
            "-" if accuracy is None else f"{accuracy:.4f}",
            "-" if images is None else f"{images:.0f}",
            row["backbone"] or "-",
            row["run_id"] or "-",
        ]
        style = _STYLES.get(row["state"], "")
        table.add_row(*(Text(printable(str(cell)), style) for cell in cells))
    return table


def _model_dir(output: str, model: str | None) -> Path:
    place = Output.existing(output)
    return place.serving(model_name(place, model))


def _switch(
    output: str,
    model: str | None,
    config: Path | None,
    switch: Callable[[Path], Version],
    wanted: int | None = None,
) -> None:
    """Switches in the folder, then in the cluster: the latter alone if `wanted` serves already."""
    place = Output.existing(output)
    name = model_name(place, model)
    find, model_dir = service_of(place, name, config), place.serving(name)
    version = serving_version(model_dir)
    if version is None or version.number != wanted or find() is None:
        with usable(model_dir):
            version = switch(model_dir)
        _note(
            f"version {version.number} serves now, {version.path}; a server that watches the "
            "folder above it loads it by itself"
        )
        _note_hold(model_dir)
    again = ["effnet", "models", "promote", str(version.number)]
    again += ["--output", str(place.root), "--model", name]
    again += [] if config is None else ["--config", str(config)]
    bring(find, version, shlex.join(again), _note)


def _note_hold(model_dir: Path) -> None:
    hold = read_hold(model_dir)
    if hold is not None:
        _note(f"pushing is {hold}: runs push nothing until 'effnet models release'")


def _note(text: str) -> None:
    make_display(sys.stdout, verbose=False).note(text)
