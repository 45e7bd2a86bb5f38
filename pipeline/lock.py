"""One command at a time works on an output folder.

The lock belongs to an open file, which the child of a run inherits: it is free again when both
parent and child are gone, however they ended, and no stale lock can be left behind.
"""

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from components.errors import OutputError

_POLL_SECONDS = 0.2
_TAKEN = (errno.EAGAIN, errno.EACCES)
# Of these the folder isn't to blame: a fault, which may pass.
_EXHAUSTED = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO)


@contextlib.contextmanager
def hold(path: Path, holder: str, wait: float, note: Callable[[str], None]) -> Iterator[int]:
    """Holds the lock of an output folder, which is made if it isn't there.

    Args:
        path: the lock's file.
        holder: who holds it from now on, told to those who wait.
        wait: seconds to wait for another holder at most.
        note: is told once, before the waiting starts, for whom.

    Yields:
        The descriptor to hand on to a child.

    Raises:
        OutputError: if the folder can't be written to, or stayed taken.
    """
    with usable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with usable(path.parent):
            _acquire(descriptor, path, wait, note)
            os.ftruncate(descriptor, 0)
            text = json.dumps({"holder": holder, "pid": os.getpid()})
            os.pwrite(descriptor, text.encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Turns what a system refuses to do in an output folder into an error that can be mended."""
    try:
        yield
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise
        raise OutputError(
            f"the output folder '{folder}' can't be written to: {error.strerror}; name another "
            "with --output, or mend its permissions"
        ) from None


def holder_of(path: Path) -> str | None:
    """Returns who holds a lock at this moment; None if nobody does."""
    holder = None
    try:
        with open(path, "rb") as file:
            holder = json.load(file)["holder"]
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # let go with the file
    except OSError as error:
        return holder if error.errno in _TAKEN else None
    except (ValueError, KeyError, TypeError):
        return None
    return None


def _acquire(descriptor: int, path: Path, wait: float, note: Callable[[str], None]) -> None:
    if _try(descriptor):
        return
    note(f"waiting up to {wait:g} s for {_holder(path)}, which works on {path.parent}")
    deadline = time.monotonic() + wait
    while not _try(descriptor):
        if time.monotonic() >= deadline:
            raise OutputError(
                f"'{path.parent}' is still taken by {_holder(path)} after {wait:g} seconds; wait "
                "longer with --wait, or use another --output"
            )
        time.sleep(_POLL_SECONDS)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def _holder(path: Path) -> str:
    """Says who wrote itself into the lock; between locking and writing there is nothing yet."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return f"{facts['holder']} (process {facts['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
