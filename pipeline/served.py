"""The models that were pushed to an output, whether a folder or a bucket."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from components.model_versions import FolderVersions, ModelVersions, versions_at
from components.store import Store, is_remote, open_store
from pipeline.layout import CONFIG_FILE, Output, is_run_id


class Served(Protocol):
    """What `effnet models` needs to know of an output."""

    @property
    def address(self) -> str:
        """Of the output."""

    def models(self) -> list[str]:
        """Returns the names of the models that were pushed here."""

    def versions(self, model: str) -> ModelVersions[Any]:
        """Returns the versions of a model."""

    def configs(self) -> Iterator[Path]:
        """Yields files with the configurations of runs, the newest first."""


def served_at(location: str) -> Served:
    """Returns the models of an output.

    Raises:
        OutputError: if there is no such folder.
        StoreError: if it is an address that can't be used.
    """
    if is_remote(location):
        return _BucketOutput(open_store(location))
    return _FolderOutput(Output.existing(location))


@dataclass(frozen=True)
class _FolderOutput:
    output: Output

    @property
    def address(self) -> str:
        return str(self.output.root)

    def models(self) -> list[str]:
        return self.output.models()

    def versions(self, model: str) -> ModelVersions[Any]:
        return FolderVersions(self.output.serving(model))

    def configs(self) -> Iterator[Path]:
        runs = reversed(self.output.all_runs())
        return (run.config for run in runs if run.config.is_file())


@dataclass(frozen=True)
class _BucketOutput:
    store: Store

    @property
    def address(self) -> str:
        return self.store.address

    def models(self) -> list[str]:
        return [name for name in self.store.child("serving").names() if not name.startswith(".")]

    def versions(self, model: str) -> ModelVersions[Any]:
        return versions_at(self.store.child("serving", model).address)

    def configs(self) -> Iterator[Path]:
        runs = self.store.child("runs")
        with tempfile.TemporaryDirectory() as scratch:
            for run in reversed(runs.names()):
                if is_run_id(run) and runs.child(run).exists(CONFIG_FILE):
                    yield runs.child(run).fetch(CONFIG_FILE, Path(scratch))
