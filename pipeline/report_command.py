"""`effnet report`: the pages of runs, written, or shown while a run goes on."""

import sys
from typing import Annotated

import typer

from components.errors import InputError, OutputError
from components.store import Store, open_store
from pipeline.cli_parts import OutputOption, errors_told
from pipeline.history import MAX_ROWS, run_ids
from pipeline.layout import INDEX_FILE, REPORT_FILE
from pipeline.run_files import RunFiles
from pipeline.run_pages import write_index, write_run
from pipeline.summary import EXIT_FAULT
from pipeline.terminal import Display, make_display


def report(
    output: OutputOption,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Write the page of this run anew.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show the pages on this machine, fresh as runs go on.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, max=65535, help="0: any free one.")
    ] = 6007,
) -> None:
    """Write OUTPUT/index.html, all runs with what serves now, and the reports that are missing."""
    with errors_told():
        display, store = make_display(sys.stdout, verbose=False), _existing(output)
        if serve:
            from pipeline.report_server import serve_pages

            serve_pages(store, port, display.note)
            return
        if run is not None:
            _check(store, run)
        made = [_write(store, one, display) for one in (_missing(store) if run is None else [run])]
        write_index(store)
        display.note(f"all runs: {store}/{INDEX_FILE}")
        raise typer.Exit(0 if all(made) else EXIT_FAULT)


def _existing(output: str) -> Store:
    """Returns an output that some run has made.

    Raises:
        OutputError: if there is none: the name is mistyped, rather than the folder new.
    """
    store = open_store(output)
    if not store.names():
        raise OutputError(f"there is no output folder '{store}', or nothing is in it")
    return store


def _check(output: Store, run_id: str) -> None:
    ids = run_ids(output)
    if run_id not in ids:
        newest = f"the newest are {', '.join(ids[:3])}" if ids else "there is none at all"
        raise InputError(f"there is no run '{run_id}' in '{output}': {newest}")


def _missing(output: Store) -> list[str]:
    """Returns the newest runs that have no page, though some facts, and have ended."""
    runs = [RunFiles(output, run_id) for run_id in run_ids(output)[:MAX_ROWS]]
    bare = [run for run in runs if run.names and REPORT_FILE not in run.names]
    # A page that says that a run goes on would stay if nothing came of the run.
    return [run.id for run in bare if not run.is_running]


def _write(output: Store, run_id: str, display: Display) -> bool:
    """Tells whether a page could be made: a damaged run must not keep the others from theirs."""
    try:
        write_run(output, run_id)
    except InputError:
        raise
    except Exception as error:
        display.note(f"warning: no page of run {run_id}: {type(error).__name__}: {error}")
        return False
    display.note(f"report: {output.child('runs', run_id)}/{REPORT_FILE}")
    return True
