"""All runs of an output, for the page that lists them."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from components.run_report.facts import History, HistoryRow
from components.settings import masked
from components.store import Store
from pipeline.layout import REPORT_FILE, is_run_id
from pipeline.notify import reasons
from pipeline.run_facts import started, summary_of
from pipeline.run_files import RunFiles
from pipeline.served import Serving, serving_now
from pipeline.summary import Summary

MAX_ROWS = 500
_READERS = 16  # a bucket takes its time for each file
_MAX_NOTE = 160
_DAMAGED = "its files are damaged, and tell nothing that could be shown here"


def history(output: Store, live: bool = False, refresh: float | None = None) -> History:
    """Returns the newest runs, and how many there are beside them.

    Args:
        output: the output folder.
        live: whether a server answers with the page of any run, made or not.
        refresh: seconds between two looks at the page while one of the runs goes on.

    Raises:
        StoreError: if the output can't be read.
    """
    ids = run_ids(output)
    serving = serving_now(output.address)
    with ThreadPoolExecutor(_READERS) as pool:
        files = pool.map(lambda run_id: RunFiles(output, run_id), ids[:MAX_ROWS])
        rows = list(pool.map(lambda one: _row(one, serving, live), files))
    return History(
        title=f"Runs in {PurePosixPath(output.address).name}",
        rows=tuple(rows),
        left_out=len(ids) - len(rows),
        serving="; ".join(map(str, serving)) or None,
        refresh=refresh if any(row.verdict == "running" for row in rows) else None,
    )


def run_ids(output: Store) -> list[str]:
    """Returns the ids of all runs, the newest first."""
    return sorted(filter(is_run_id, output.child("runs").names()), reverse=True)


def _row(files: RunFiles, serving: list[Serving], live: bool) -> HistoryRow:
    link = f"runs/{files.id}/{REPORT_FILE}" if live or REPORT_FILE in files.names else None
    known = {"run_id": files.id, "started": started(files), "link": link}
    try:
        return HistoryRow(**known, **_facts(files, serving))
    except (ArithmeticError, TypeError, ValueError):
        # No process of ours writes such values; they must not hide the other runs.
        return HistoryRow(**known, verdict="failed", note=_DAMAGED)


def _facts(files: RunFiles, serving: list[Serving]) -> dict[str, Any]:
    """Returns what a row tells of a run's end, or that it goes on."""
    summary = summary_of(files)
    if summary is None:
        return {"verdict": "running", "seconds": max(0.0, time.time() - files.path.started)}
    place = _place(summary)
    return {
        "verdict": summary.verdict,
        "model": summary.model,
        "accuracy": summary.metrics.get("accuracy"),
        "interval": summary.accuracy_interval,
        "seconds": summary.seconds.get("total") or sum(summary.seconds.values()) or None,
        "version": place and place[1],
        "serving": place in [(now.model, str(now.number)) for now in serving],
        "warnings": len(summary.warnings),
        "note": _note(summary),
    }


def _place(summary: Summary) -> tuple[str, str] | None:
    """Returns the model and the number of the version that a run has pushed."""
    if summary.verdict != "pushed" or not summary.pushed_path:
        return None
    model, number = PurePosixPath(summary.pushed_path).parts[-2:]
    return model, number


def _note(summary: Summary) -> str | None:
    """Returns why nothing was pushed, in a few words."""
    why = [summary.error.message] if summary.error is not None else []
    if summary.verdict == "refused":
        why = list(reasons(summary))
    text = re.sub(r"\s+", " ", masked("; ".join(why)))
    return (text or None) if len(text) <= _MAX_NOTE else f"{text[: _MAX_NOTE - 1]}…"
