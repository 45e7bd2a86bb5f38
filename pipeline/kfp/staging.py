"""A task's artifacts in a folder that other pods see, too.

KFP's launcher copies artifacts to the disk of the task's own pod. Where other pods take part in the
work, its inputs go to a volume that all of them mount, and its outputs come back from there.
"""

import contextlib
import copy
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.kfp.task import LOGS


@contextlib.contextmanager
def staged(given: Mapping[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    """Copies input artifacts to a folder, and at last output artifacts back from it.

    Args:
        given: KFP's ExecutorInput as JSON.
        folder: on a shared volume, for this task alone. What a former attempt left in it is
            removed, and in the end all of it.

    Yields:
        The ExecutorInput with paths in the folder in the place of the artifacts' addresses. Outputs
        are copied back unless the work raises.

    Raises:
        OSError: an artifact doesn't fit on the volume or the disk.
    """
    _remove(folder)
    told = copy.deepcopy(dict(given))
    try:
        for local, shared in _moved(told, "inputs", folder):
            _copy(local, shared)
        outputs = list(_moved(told, "outputs", folder))
        for _, shared in outputs:
            shared.mkdir(parents=True)
        yield told
        for local, shared in outputs:
            _copy(shared, local)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _moved(told: dict[str, Any], side: str, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Gives artifacts new places; yields the path of each in this pod, and the new one."""
    # Imported late: whoever stages nothing need not import TFX.
    from pipeline.kfp.artifacts import local_path

    artifacts = told.get(side, {}).get("artifacts", {})
    artifacts.pop(LOGS, None)
    for key, listed in artifacts.items():
        for number, described in enumerate(listed["artifacts"]):
            local = Path(described.pop("customPath", "") or local_path(described["uri"]))
            shared = folder / side / key / str(number)
            described["uri"] = str(shared)
            yield local, shared


def _copy(source: Path, target: Path) -> None:
    """Copies a folder; one that is not there is an empty artifact, which object stores forget."""
    if source.is_dir():
        # Without modes and times, which not every volume lets be set.
        shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
    else:
        target.mkdir(parents=True, exist_ok=True)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
