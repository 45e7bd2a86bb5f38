"""A hold: while it is set, runs judge and report as ever but push nothing."""

import datetime
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from components.model_versions.folder import WAIT_SECONDS, flush, write_file, writing

_FILE = ".hold"


@dataclass(frozen=True)
class Hold:
    """Why nothing is pushed; of a file that somebody made by hand nothing may be known."""

    since: str = ""  # ISO 8601, UTC
    why: str = ""
    version: int | None = None  # the one that was to serve

    def __str__(self) -> str:
        since = f" since {self.since}" if self.since else ""
        why = f" ({self.why})" if self.why else ""
        return f"on hold{since}{why}"


def read_hold(model_dir: Path) -> Hold | None:
    """Returns the hold that is set, or None."""
    try:
        text = (model_dir / _FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        told = json.loads(text)
        return Hold(str(told["since"]), str(told["why"]), int(told["version"]))
    except (ValueError, KeyError, TypeError):
        return Hold()


def set_hold(model_dir: Path, why: str, version: int) -> Hold:
    """Sets a hold, in the place of one that may be set; the caller holds the folder's lock."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    hold = Hold(now, why, version)
    write_file(model_dir, _FILE, json.dumps(asdict(hold), indent=2) + "\n")
    return hold


def release(model_dir: Path, wait: float = WAIT_SECONDS) -> Hold | None:
    """Lets runs push again.

    Args:
        model_dir: folder of the model's versions.
        wait: seconds to wait for another writer at most.

    Returns:
        The hold that was set, or None.

    Raises:
        OutputError: if another writer held the folder all the time.
    """
    if read_hold(model_dir) is None:
        return None
    with writing(model_dir, wait):
        hold = read_hold(model_dir)
        if hold is not None:
            os.unlink(model_dir / _FILE)
            flush(model_dir)
        return hold
