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
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from components.errors import InputError, OutputError
from components.features import EXTRA
from components.model_versions import CARD_FACT, AnyVersion, ModelVersions
from components.settings import nearest
from components.store import is_remote, open_store
from pipeline.cli_parts import ConfigOption, OutputOption, errors_told
from pipeline.layout import INDEX_FILE
from pipeline.lock import usable
from pipeline.models_cluster import bring, service_of
from pipeline.run_pages import write_pages
from pipeline.served import Served, served_at
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
        place = served_at(output)
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
            _note_hold(place.versions(listing["model"]))


@models_app.command()
def rollback(
    output: OutputOption,
    version: Annotated[int | None, _VERSION] = None,
    model: ModelOption = None,
    config: ConfigOption = None,
) -> None:
    """Go back to VERSION, or the one below the one that serves; runs push nothing until release."""
    with errors_told():
        _switch(output, model, config, lambda versions: versions.roll_back(version))


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
        _switch(output, model, config, lambda versions: versions.promote(version), version)


@models_app.command()
def release(output: OutputOption, model: ModelOption = None) -> None:
    """Let runs push again after a rollback."""
    with errors_told():
        place = served_at(output)
        versions = place.versions(model_name(place, model))
        with usable(Path(versions.address)):
            hold = versions.release()
        _note(f"pushing was {hold}; runs push again" if hold else "no hold is set: runs push")


def model_name(output: Served, asked: str | None) -> str:
    """Returns the name of the model that is meant.

    Raises:
        InputError: if there is none, no such one, or several and none of them is named.
    """
    models = output.models()
    if not models:
        raise InputError(f"no model was ever pushed to '{output.address}': 'effnet run' pushes one")
    if asked is not None:
        try:
            return nearest(asked, models, "model")
        except ValueError as error:
            raise InputError(f"{error} (--model, in '{output.address}')") from None
    if len(models) > 1:
        raise InputError(
            f"'{output.address}' has several models: {', '.join(models)}; name one with --model"
        )
    return models[0]


def describe(output: Served, model: str) -> dict[str, Any]:
    """Returns the versions of a model, the newest first, and its hold, as JSON values.

    Metrics are those of the test split when the version was pushed; {} where none were recorded.
    `problem` tells what of a version can't be read.
    """
    versions = output.versions(model)
    hold = versions.hold()
    rows = [_row(version) for version in reversed(versions.all())]
    serving = [row["version"] for row in rows if row["state"] == "serving"]
    return {
        "model": model,
        "serving": serving[0] if serving else None,
        "hold": None if hold is None else asdict(hold),
        "versions": rows,
    }


def _row(version: AnyVersion) -> dict[str, Any]:
    facts, training, metrics, problem = {}, {}, {}, None
    try:
        facts, training, metrics = version.facts, version.training, _metrics(version)
    except OutputError as error:
        problem = str(error)
    card = facts.get(CARD_FACT)
    return {
        "version": version.number,
        "state": version.state,
        "path": version.address,
        "pushed_at": facts.get("pushed_at"),
        "run_id": facts.get("run_id"),
        "backbone": training.get("backbone"),
        "metrics": metrics,
        "model_card": f"{version.address}/{EXTRA}/{card}" if card else None,
        "problem": problem,
    }


def _metrics(version: AnyVersion) -> dict[str, float | None]:
    found = version.facts.get("metrics") or {}
    if isinstance(found, dict) and all(
        value is None or isinstance(value, int | float) for value in found.values()
    ):
        return found
    raise OutputError(
        f"the record in '{version.address}' is damaged: its metrics are {found!r:.80}"
    )


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


def _switch(
    output: str,
    model: str | None,
    config: Path | None,
    switch: Callable[[ModelVersions[Any]], AnyVersion],
    wanted: int | None = None,
) -> None:
    """Switches in the folder, then in the cluster: the latter alone if `wanted` serves already."""
    place = served_at(output)
    name = model_name(place, model)
    find, versions = service_of(place, name, config), place.versions(name)
    version = versions.serving()
    if version is None or version.number != wanted or find() is None:
        with usable(Path(versions.address)):
            version = switch(versions)
        _note(f"version {version.number} serves now, {version.address}; {_who_follows(version)}")
        _note_hold(versions)
        _tell_page(place.address)
    again = ["effnet", "models", "promote", str(version.number)]
    again += ["--output", place.address, "--model", name]
    again += [] if config is None else ["--config", str(config)]
    bring(find, version, shlex.join(again), _note)


def _tell_page(output: str) -> None:
    """Has the page of all runs say what serves now, if there is such a page."""
    if INDEX_FILE in open_store(output).names():
        write_pages(output, None, _note)


def _who_follows(version: AnyVersion) -> str:
    if is_remote(version.address):
        return "an InferenceService does so by its storageUri alone"
    return "a server that watches the folder above it loads it by itself"


def _note_hold(versions: ModelVersions[Any]) -> None:
    hold = versions.hold()
    if hold is not None:
        _note(f"pushing is {hold}: runs push nothing until 'effnet models release'")


def _note(text: str) -> None:
    make_display(sys.stdout, verbose=False).note(text)
