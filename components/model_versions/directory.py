"""A model's versions wherever they lie: in a folder, or in a bucket."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from components.model_versions.bucket import BucketVersions
from components.model_versions.holds import Hold, read_hold, release
from components.model_versions.publishing import publish, remove_old
from components.model_versions.switching import promote, roll_back, withdraw
from components.model_versions.versions import (
    AnyVersion,
    Version,
    list_versions,
    serving_version,
)
from components.store import is_remote, open_store

V = TypeVar("V", bound=AnyVersion)


class ModelVersions(Protocol[V]):
    """What can be done with a model's versions; every change is seen whole or not at all."""

    @property
    def address(self) -> str:
        """Where the versions lie."""

    def all(self) -> Sequence[V]:
        """Returns every complete version, those out of sight as well, by growing number."""

    def serving(self) -> V | None:
        """Returns the version that serves now, or None."""

    def hold(self) -> Hold | None:
        """Returns the hold that is set, or None."""

    def copy(self, version: V, target: Path) -> Version:
        """Copies a version to a local path that isn't there yet."""

    def publish(
        self,
        saved_model: Path,
        *,
        schema: Path | None,
        facts: Mapping[str, Any],
        expected: str | None = None,
        extra: Mapping[str, bytes] | None = None,
    ) -> tuple[V, bool]:
        """Makes a SavedModel serve; see `publish`."""

    def remove_old(self, keep: int) -> None:
        """Leaves `keep` versions; see `remove_old`."""

    def roll_back(self, version: int | None = None) -> V:
        """Makes an older version serve; see `roll_back`."""

    def promote(self, version: int) -> V:
        """Makes any version serve; see `promote`."""

    def withdraw(self, version: int) -> None:
        """Takes a version that was pushed in vain out of sight; see `withdraw`."""

    def release(self) -> Hold | None:
        """Lets runs push again; returns the hold that was set, or None."""


class FolderVersions:
    """A model's versions in a folder that TensorFlow Serving can watch."""

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir

    @property
    def address(self) -> str:
        """Where the versions lie."""
        return str(self._model_dir)

    def all(self) -> list[Version]:
        """Returns every complete version."""
        return list_versions(self._model_dir)

    def serving(self) -> Version | None:
        """Returns the version that serves now."""
        return serving_version(self._model_dir)

    def hold(self) -> Hold | None:
        """Returns the hold that is set."""
        return read_hold(self._model_dir)

    def copy(self, version: Version, target: Path) -> Version:
        """Copies a version."""
        shutil.copytree(version.path, target)
        return Version(version.number, target, version.state)

    def publish(
        self,
        saved_model: Path,
        *,
        schema: Path | None,
        facts: Mapping[str, Any],
        expected: str | None = None,
        extra: Mapping[str, bytes] | None = None,
    ) -> tuple[Version, bool]:
        """Makes a SavedModel serve."""
        return publish(
            saved_model, self._model_dir, schema=schema, facts=facts, expected=expected, extra=extra
        )

    def remove_old(self, keep: int) -> None:
        """Leaves `keep` versions."""
        remove_old(self._model_dir, keep)

    def roll_back(self, version: int | None = None) -> Version:
        """Makes an older version serve."""
        return roll_back(self._model_dir, version)

    def promote(self, version: int) -> Version:
        """Makes any version serve."""
        return promote(self._model_dir, version)

    def withdraw(self, version: int) -> None:
        """Takes a version that was pushed in vain out of sight."""
        withdraw(self._model_dir, version)

    def release(self) -> Hold | None:
        """Lets runs push again."""
        return release(self._model_dir)


def versions_at(address: str) -> ModelVersions[Any]:
    """Returns a model's versions at a folder or an address.

    Args:
        address: of the model, OUTPUT/serving/NAME; a local path, s3://... or gs://...

    Raises:
        StoreError: if it is another kind of address, or the package for it is not installed.
    """
    if is_remote(address):
        return BucketVersions(open_store(address))
    return FolderVersions(Path(address))
