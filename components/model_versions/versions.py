"""What is in a model's folder; safe to call while a writer is at work."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from components.errors import OutputError
from components.features import EXTRA, TRAINING_FILE
from components.model_versions.folder import FAILED, WITHDRAWN, numbered

FACTS_FILE = "model.json"
SCHEMA_FILE = "schema.pbtxt"
CARD_FACT = "model_card"  # among the facts: the name of the file

State = Literal["serving", "visible", "withdrawn", "failed"]


class AnyVersion(Protocol):
    """One complete version, in a folder or in a bucket."""

    @property
    def number(self) -> int:
        """Its number."""

    @property
    def state(self) -> State:
        """What it was when it was looked at."""

    @property
    def address(self) -> str:
        """Where its SavedModel lies."""

    @property
    def home(self) -> str:
        """Where the versions of its model lie, if it is in sight."""

    @property
    def digest(self) -> str:
        """The digest of its model, as it was when published."""

    @property
    def content(self) -> str:
        """The digest of its model, computed where none was recorded that can be read."""

    @property
    def facts(self) -> dict[str, Any]:
        """What was recorded when it was published."""

    @property
    def training(self) -> dict[str, Any]:
        """How it was trained, as the Trainer wrote it."""


@dataclass(frozen=True)
class Version:
    """One complete version in a folder.

    What is read of it raises OutputError where the file is damaged.
    """

    number: int
    path: Path
    state: State = "serving"  # when it was looked at

    @property
    def address(self) -> str:
        """Where its SavedModel lies."""
        return str(self.path)

    @property
    def home(self) -> str:
        """Where the versions of its model lie, if it is in sight."""
        return str(self.path.parent)

    @property
    def digest(self) -> str:
        """The digest of its model, as it was when published; empty if it isn't one of ours."""
        return str(self.facts.get("digest", ""))

    @property
    def content(self) -> str:
        """The digest of its model, computed where none was recorded that can be read."""
        try:
            return self.digest or model_digest(self.path)
        except OutputError:
            return model_digest(self.path)

    @property
    def facts(self) -> dict[str, Any]:
        """What was recorded when it was published; empty if it isn't one of ours."""
        return _read_json(self.path / EXTRA / FACTS_FILE)

    @property
    def training(self) -> dict[str, Any]:
        """How it was trained, as the Trainer wrote it; empty if it isn't one of ours."""
        return read_training(self.path)

    @property
    def schema(self) -> Path | None:
        """The schema kept with it, if any."""
        file = self.path / EXTRA / SCHEMA_FILE
        return file if file.is_file() else None


def list_versions(model_dir: Path) -> list[Version]:
    """Returns every complete version, those out of sight as well, by growing number."""
    entries = _entries(model_dir)
    while True:
        versions = _complete_versions(entries)
        # Had one moved since it was listed, a third would seem to serve.
        former, entries = entries, _entries(model_dir)
        if entries == former:
            return versions


def _entries(model_dir: Path) -> dict[State, dict[int, Path]]:
    return {
        "failed": numbered(model_dir / FAILED),
        "withdrawn": numbered(model_dir / WITHDRAWN),
        "visible": numbered(model_dir),
    }


def _complete_versions(entries: dict[State, dict[int, Path]]) -> list[Version]:
    versions = {
        number: Version(number, path, state)
        for state, paths in entries.items()
        for number, path in paths.items()
        if (path / "saved_model.pb").is_file()
    }
    seen = [number for number, version in versions.items() if version.state == "visible"]
    if seen:
        versions[max(seen)] = Version(max(seen), versions[max(seen)].path, "serving")
    return [versions[number] for number in sorted(versions)]


def serving_version(model_dir: Path) -> Version | None:
    """Returns the version that serves now: the highest visible complete one, or None."""
    found = [version for version in list_versions(model_dir) if version.state == "serving"]
    return found[0] if found else None


def serving_state(serving: AnyVersion | None) -> str:
    """Returns what tells one serving model from another: `NUMBER:DIGEST`, or `none`."""
    if serving is None:
        return "none"
    if isinstance(serving, Version) and not serving.digest:
        # One put there by hand has no recorded digest, and may be replaced in place.
        return f"{serving.number}:{model_digest(serving.path)}"
    return f"{serving.number}:{serving.digest}"


def read_training(saved_model: Path) -> dict[str, Any]:
    """Returns what an exported model tells of its training: backbone, weights, classes, stages.

    Raises:
        OutputError: if the file is damaged.
    """
    return _read_json(saved_model / EXTRA / TRAINING_FILE)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise _damaged(file, str(error)) from None
    if not isinstance(found, dict):
        raise _damaged(file, f"it holds {type(found).__name__}, not an object")
    return found


def _damaged(file: Path, problem: str) -> OutputError:
    version = file.parent.parent
    return OutputError(
        f"'{file}' is damaged ({problem}): put it back from a copy, or move '{version}' out of "
        "the model's folder, after 'effnet models rollback' or 'promote' if that version serves"
    )


def model_digest(saved_model: Path) -> str:
    """Returns the hex SHA-256 over the names and bytes of a SavedModel's files."""
    digest = hashlib.sha256()
    for file in sorted(path for path in saved_model.rglob("*") if path.is_file()):
        name = file.relative_to(saved_model).as_posix()
        if name.startswith(f"{EXTRA}/"):
            continue
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
