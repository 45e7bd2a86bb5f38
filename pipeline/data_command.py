"""`effnet data`: looks at the images before a training, without one.

TensorFlow is imported only once everything that can be said without it is said.
"""

import sys
import time
from pathlib import Path
from typing import Annotated, TextIO

import typer

from components.batch_scoring.model import find_model
from pipeline.cli_parts import ConfigOption, SetOption, errors_told
from pipeline.data_page import DEFAULT, check_place, write_page
from pipeline.data_result import print_report
from pipeline.layout import absolute
from pipeline.options import effective_config
from pipeline.preflight import list_data
from pipeline.quiet_import import import_quietly
from pipeline.terminal import make_console, printable

_HEAVY = "pipeline.data_look"  # imports TensorFlow


def look_at_data(
    path: Annotated[str, typer.Argument(metavar="PATH", help="As --data of `effnet run`.")],
    config: ConfigOption = None,
    sets: SetOption = None,
    models: Annotated[
        Path | None,
        typer.Option(
            "--models",
            metavar="DIR",
            help="Ask this model for likely label errors: OUTPUT/serving, or as in `predict`.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help=f"The page; by default {DEFAULT}, and with --json none.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the --html file.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as JSON, alone on stdout.")
    ] = False,
) -> None:
    """Look at the images before training: what a run would take, refuse, or suffer from.

    Exit status 2 if a run would refuse this data.
    """
    with errors_told(as_json):
        started = time.monotonic()
        people = make_console(_people(as_json))
        settings = effective_config(config, sets or ())
        found = list_data(settings, absolute(path))
        page = None
        if html is not None or not as_json:
            page = check_place(html or DEFAULT, found.location.root, force)
        model = None if models is None else find_model(models)
        people.print(printable(str(found)), soft_wrap=True, markup=False)
        data_look = import_quietly(_HEAVY)
        report = data_look.look(found, settings, model, people)
        if page is not None:
            write_page(page, data_look.page(report))
        report = report.model_copy(
            update={"page": page and str(page), "seconds": time.monotonic() - started}
        )
        print_report(report, people)
        if as_json:
            print(report.to_json())
        raise typer.Exit(report.exit_status)


def _people(as_json: bool) -> TextIO:
    return sys.stderr if as_json else sys.stdout
