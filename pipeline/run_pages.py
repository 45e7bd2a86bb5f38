"""Writes the pages of runs. What draws them takes a second to import, so that is done here only.

A page is for people to look at: whatever keeps it from being written changes nothing else.
"""

from collections.abc import Callable

from components.errors import InputError
from components.store import Store, open_store
from pipeline.history import history
from pipeline.layout import INDEX_FILE, REPORT_FILE
from pipeline.run_facts import run_report
from pipeline.run_files import RunFiles


def write_pages(output: str, run_id: str | None, note: Callable[[str], None]) -> None:
    """Writes the page of a run, and that of all runs; what goes wrong is no more than a warning.

    Args:
        output: the output folder, or its address.
        run_id: the run's; None: only the page of all.
        note: is told of what went wrong.
    """
    writers: list[Callable[[Store], None]] = [write_index]
    if run_id is not None:
        writers.insert(0, lambda store: write_run(store, run_id))
    try:
        for write in writers:
            try:
                write(open_store(output))
            except Exception as error:
                note(f"warning: the report could not be written: {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        note("warning: stopped before the report was written; 'effnet report' writes it")


def write_run(output: Store, run_id: str) -> None:
    """Writes OUTPUT/runs/<run id>/report.html.

    Raises:
        InputError: if there is no such run.
        StoreError: if the output can't be used.
    """
    output.child("runs", run_id).write_text(REPORT_FILE, run_page(output, run_id))


def write_index(output: Store) -> None:
    """Writes OUTPUT/index.html.

    Raises:
        StoreError: if the output can't be used.
    """
    output.write_text(INDEX_FILE, index_page(output))


def run_page(output: Store, run_id: str, refresh: float | None = None) -> str:
    """Returns the page of a run (see `run_report`).

    Raises:
        InputError: if there is no such run.
        StoreError: if the output can't be read.
    """
    from components.run_report.page import render

    files = RunFiles(output, run_id)
    if not files.names:
        raise InputError(f"there is no run '{run_id}' in '{output}'")
    return render(run_report(files, refresh))


def index_page(output: Store, live: bool = False, refresh: float | None = None) -> str:
    """Returns the page of all runs (see `history`).

    Raises:
        StoreError: if the output can't be read.
    """
    from components.run_report.page import render_history

    return render_history(history(output, live, refresh))
