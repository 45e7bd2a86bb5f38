"""A model's folder on disk: its lock, its hidden corners, and moves that survive a crash."""

import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from components.errors import OutputError

WITHDRAWN = ".withdrawn"  # by a person
FAILED = ".failed"  # by a push that the cluster did not take
WAIT_SECONDS = 600.0
_LOCK = ".lock"
_SCRATCH_PREFIX = ".staging-"
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def writing(model_dir: Path, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Keeps other writers out of a model's folder, which must be there.

    The lock is not the output folder's, which a run holds for hours: going back can't wait for
    that. It belongs to an open file, so it ends with the process that holds it, however that ends;
    what a killed writer left is removed by the next one.

    Args:
        model_dir: the folder.
        wait: seconds to wait for another writer at most.

    Raises:
        OutputError: if another writer held it all the time.
    """
    descriptor = os.open(model_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _acquire(descriptor, model_dir, wait)
        _clear_scratch(model_dir)
        try:
            yield
        finally:
            _clear_scratch(model_dir)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, model_dir: Path, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise OutputError(
                    f"another process has been writing to '{model_dir}' for {wait:g} seconds, "
                    "which takes a few as a rule: see whether it is stopped or its disk hangs, "
                    "end it, and run this again"
                ) from None
        time.sleep(_POLL_SECONDS)


def scratch(model_dir: Path) -> Path:
    """Returns a new hidden path in the folder; what is there is removed when the writing ends."""
    return model_dir / f"{_SCRATCH_PREFIX}{uuid.uuid4().hex}"


def _clear_scratch(model_dir: Path) -> None:
    for entry in model_dir.glob(f"{_SCRATCH_PREFIX}*"):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def numbered(folder: Path) -> dict[int, Path]:
    """Returns the entries that have a number for a name, complete or not; {} without a folder."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {int(name): folder / name for name in names if name.isascii() and name.isdecimal()}


def move(source: Path, target: Path) -> None:
    """Renames in one atomic step that is on the disk before anything after it."""
    os.rename(source, target)
    flush(target.parent)
    if source.parent != target.parent:
        flush(source.parent)


def write_file(model_dir: Path, name: str, text: str) -> None:
    """Writes a small file that is either there and whole, or as it was before."""
    staging = scratch(model_dir)
    staging.write_text(text, encoding="utf-8")
    flush(staging)
    move(staging, model_dir / name)


def flush_tree(root: Path) -> None:
    """Flushes every file and folder of a tree to the disk."""
    for folder, _, files in os.walk(root):
        for name in files:
            flush(Path(folder) / name)
        flush(Path(folder))


def flush(path: Path) -> None:
    """Flushes one file, or the names in one folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
