"""Where an interrupted training goes on from: one file, whole or not there.

It lies in a folder, or in a bucket: on a cluster, a task that is tried again runs elsewhere.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.store import Store, is_remote, open_store

_FILE = "checkpoint.npz"
_FACTS = "facts"


@dataclass(frozen=True)
class Saved:
    """What a training had come to after an epoch.

    Attributes:
        facts: JSON values.
        arrays: lists of arrays by name.
    """

    facts: dict[str, Any]
    arrays: dict[str, list[np.ndarray]]


class Checkpoint:
    """The newest state of one training."""

    def __init__(self, folder: Path, writable: bool = True) -> None:
        """Takes a folder that belongs to this very training: same data, settings and code.

        Of several workers, which read it all, one may write.
        """
        self._folder = folder
        self._writable = writable

    def save(self, facts: Mapping[str, Any], arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Replaces the former state in one step, if it is this worker's to do so.

        Raises:
            OSError: it can't be written; the former state still stands.
        """
        if not self._writable:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        flat: dict[str, Any] = {
            f"{name}/{number}": value
            for name, values in arrays.items()
            for number, value in enumerate(values)
        }
        flat[_FACTS] = np.array(json.dumps(facts))
        descriptor, temporary = tempfile.mkstemp(dir=self._folder)
        try:
            with open(descriptor, "wb") as file:
                np.savez(file, allow_pickle=False, **flat)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._folder / _FILE)
        except BaseException:
            os.unlink(temporary)
            raise

    def load(self) -> Saved | None:
        """Returns the newest state; None if there is none yet."""
        path = self._folder / _FILE
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, list[np.ndarray]] = {}
            for key in file.files:
                if key != _FACTS:
                    # In the order that they were written in.
                    arrays.setdefault(key.rpartition("/")[0], []).append(file[key])
            return Saved(json.loads(str(file[_FACTS])), arrays)

    def clear(self) -> None:
        """Removes it: the training is over."""
        for file in self._folder.glob("*"):
            file.unlink()
        if self._folder.is_dir():
            self._folder.rmdir()


class BucketCheckpoint(Checkpoint):
    """The newest state of one training, in a bucket."""

    def __init__(self, address: str, writable: bool = True) -> None:
        super().__init__(Path(_FILE), writable)
        self._address = address  # and not the store: this goes to other processes

    def save(self, facts: Mapping[str, Any], arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Uploads the state, in the place of the former one.

        Raises:
            OSError: there is no room to write it to before.
            StoreError: it can't be uploaded; the former state still stands.
        """
        if not self._writable:
            return
        with tempfile.TemporaryDirectory() as scratch:
            Checkpoint(Path(scratch)).save(facts, arrays)
            self._store().put(Path(scratch, _FILE), _FILE)

    def load(self) -> Saved | None:
        """Returns the newest state; None if there is none yet.

        Raises:
            StoreError: it can't be downloaded.
        """
        with tempfile.TemporaryDirectory() as scratch:
            try:
                self._store().fetch(_FILE, Path(scratch))
            except FileNotFoundError:
                return None
            return Checkpoint(Path(scratch)).load()

    def clear(self) -> None:
        """Removes it."""
        self._store().remove(_FILE)

    def _store(self) -> Store:
        return open_store(self._address)


def checkpoint_at(place: str, writable: bool = True) -> Checkpoint:
    """Returns the checkpoint of one training.

    Args:
        place: a folder, or an address on S3 or GCS, that belongs to this very training.
        writable: of several workers, which read it all, one may write.
    """
    if is_remote(place):
        return BucketCheckpoint(place, writable)
    return Checkpoint(Path(place), writable)
