"""Bounds what runs leave behind: the newest runs stay, with every artifact that they use.

Runs on one output folder never overlap (its lock), so whatever appeared after the oldest kept run
began belongs to a kept run, also where a killed run could not say so. TFX's cache looks whether
an artifact is still there before it answers with it, so what is gone is made anew when needed.
The serving folder is never touched.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.files import write_atomically
from pipeline.layout import Output, RunFolder
from pipeline.progress import read_events

# TFX keeps a node's temporary and state folders beside its artifacts, one level deeper.
_SYSTEM = ".system"
# In the folder of artifacts: which metadata store knows them.
_STORE_FILE = ".store"


@dataclass(frozen=True)
class Cleaned:
    """What was removed."""

    runs: int
    artifacts: int
    freed_bytes: int


def clean(output: Output, keep: int) -> Cleaned:
    """Removes old runs and what only they used; the caller holds the output's lock.

    Args:
        output: where.
        keep: number of runs to keep, at least 1.
    """
    clear_scratch(output)
    runs = output.all_runs()
    old, kept = runs[:-keep], runs[-keep:]
    unused = list(_unused(output, kept)) if kept else []
    doomed = [*unused, *(run.path for run in old)]
    freed = sum(_size(path) for path in doomed)
    _remove(output, doomed)
    return Cleaned(len(old), len(unused), freed)


def clear_scratch(output: Output) -> None:
    """Removes temporary files; the caller holds the lock, so nobody uses them."""
    shutil.rmtree(output.scratch, ignore_errors=True)


def clear_strange_artifacts(output: Output, store: str, newest: int) -> bool:
    """Removes artifacts that the metadata store doesn't know; the caller holds the lock.

    Their folders bear the numbers that a store gives to executions. After a change of store, or
    the loss of one, the numbers come again: a node would write into a folder that is full, and
    the former store would take what it finds there for its own.

    Args:
        output: where.
        store: names the metadata store of the run that begins.
        newest: the highest number of an execution that it has given.

    Returns:
        Whether there were any.
    """
    marker = output.artifacts / _STORE_FILE
    former = marker.read_text(encoding="utf-8") if marker.is_file() else store
    names = [folder.name for folder in _output_folders(output) if folder.name.isdecimal()]
    strange = bool(names) and (former != store or max(map(int, names)) > newest)
    if strange:
        _remove(output, list(output.artifacts.iterdir()))
    output.artifacts.mkdir(exist_ok=True)
    write_atomically(marker, store)
    return strange


def _unused(output: Output, kept: list[RunFolder]) -> Iterator[Path]:
    used = set()
    for run in kept:
        used |= {_path(uri) for uri in read_events(run.events).artifacts}
    since = kept[0].started
    for folder in _execution_folders(output):
        if folder not in used and _modified(folder) < since:
            yield folder


def _execution_folders(output: Output) -> Iterator[Path]:
    """Yields the folders that belong to one execution, or to one training, each."""
    yield from _output_folders(output)
    yield from output.artifacts.glob(f"*/{_SYSTEM}/*/*")
    yield from output.checkpoints.glob("*")


def _output_folders(output: Output) -> Iterator[Path]:
    """Yields artifacts/<node>/<output>/<execution>; under .system others count otherwise."""
    for folder in output.artifacts.glob("*/*/*"):
        if folder.parent.name != _SYSTEM:
            yield folder


def _modified(folder: Path) -> float:
    """Returns when anything in a folder was last written; none of it at 0."""
    return max((os.lstat(path).st_mtime for path in _walk(folder)), default=0.0)


def _size(folder: Path) -> int:
    return sum(os.lstat(path).st_size for path in _walk(folder))


def _walk(path: Path) -> Iterator[Path]:
    yield path
    for root, folders, files in os.walk(path):
        yield from (Path(root) / name for name in [*folders, *files])


def _remove(output: Output, paths: list[Path]) -> None:
    """Moves folders away in one step each, then removes them.

    Half an artifact that a kill leaves in place would still look like one to TFX's cache.
    """
    if not paths:
        return
    output.scratch.mkdir(exist_ok=True)
    trash = Path(tempfile.mkdtemp(prefix="clean-", dir=output.scratch))
    for number, path in enumerate(paths):
        path.rename(trash / str(number))
    shutil.rmtree(trash)
    for parent in {path.parent for path in paths}:
        if parent not in (output.runs, output.checkpoints) and not any(parent.iterdir()):
            parent.rmdir()


def _path(uri: str) -> Path:
    """Returns the path of an artifact's URI, which TFX writes as a plain path or as file://."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(uri)
