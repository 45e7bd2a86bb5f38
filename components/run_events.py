"""What a run tells while it goes on: a line of JSON an event, appended to the run's folder.

Nodes run in another process than the terminal (on a cluster, on another machine), so they speak
through a file. Without a run folder (a component used on its own) nothing is recorded.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

RUN_DIR_VARIABLE = "EFFNET_RUN_DIR"
EVENTS_FILE = "events.jsonl"


def run_dir() -> Path | None:
    """Returns the folder of the run that this process belongs to, or None."""
    value = os.environ.get(RUN_DIR_VARIABLE)
    return Path(value) if value else None


def record(event: str, **facts: Any) -> None:
    """Appends one event with its facts (JSON values) to the run's events."""
    folder = run_dir()
    if folder is None:
        return
    line = json.dumps({"time": round(time.time(), 3), "event": event, **facts}) + "\n"
    # One write of a short line to a file opened for append is not torn by other writers.
    with open(folder / EVENTS_FILE, "a", encoding="utf-8") as file:
        file.write(line)


def warn(text: str) -> None:
    """Records a warning for the person who reads the run's outcome."""
    record("warning", text=text)
