"""The models that were pushed to an output, whether a folder or a bucket."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from components.errors import OutputError
from components.model_versions import AnyVersion, FolderVersions, ModelVersions, versions_at
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


@dataclass(frozen=True)
class Serving:
    """What serves of one model, and the run that pushed it, if that is known."""

    model: str
    number: int
    run_id: str | None

    def __str__(self) -> str:
        by = f", by run {self.run_id}" if self.run_id else ""
        return f"{self.model} version {self.number}{by}"


def serving_now(location: str) -> list[Serving]:
    """Returns what serves of each model of an output; [] where nothing was ever pushed.

    Raises:
        StoreError: if it is an address that can't be used.
    """
    try:
        place = served_at(location)
    except OutputError:
        return []
    found = [(model, place.versions(model).serving()) for model in place.models()]
    return [Serving(model, version.number, _run_of(version)) for model, version in found if version]


def _run_of(version: AnyVersion) -> str | None:
    try:
        return version.facts.get("run_id")
    except OutputError:  # damaged, which keeps nobody from serving it
        return None


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
