"""The serving directory: numbered versions of one model, each complete before it is visible.

    serving/<model name>/<version>/    a SavedModel, as TensorFlow Serving expects it
        assets.extra/model.json        what it is: digest, run, metrics
        assets.extra/schema.pbtxt      the schema that its data followed

The highest number serves. A version is copied to a hidden sibling, flushed to the disk and then
renamed, which is one atomic step: neither a reader nor a crash ever meets half a version.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.features import EXTRA, TRAINING_FILE

FACTS_FILE = "model.json"
SCHEMA_FILE = "schema.pbtxt"
_STAGING_PREFIX = ".staging-"


@dataclass(frozen=True)
class Version:
    """One published version."""

    number: int
    path: Path

    @property
    def digest(self) -> str:
        """The digest of its model, as it was when published; empty if it isn't one of ours."""
        return str(self.facts.get("digest", ""))

    @property
    def facts(self) -> dict[str, Any]:
        """What was recorded when it was published."""
        file = self.path / EXTRA / FACTS_FILE
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    @property
    def training(self) -> dict[str, Any]:
        """How it was trained, as the Trainer wrote it; empty if it isn't one of ours."""
        return read_training(self.path)

    @property
    def schema(self) -> Path | None:
        """The schema kept with it, if any."""
        file = self.path / EXTRA / SCHEMA_FILE
        return file if file.is_file() else None


def serving_version(model_dir: Path) -> Version | None:
    """Returns the version that serves now: the highest complete one, or None."""
    if not model_dir.is_dir():
        return None
    numbers = [
        int(entry.name)
        for entry in model_dir.iterdir()
        if entry.name.isascii() and entry.name.isdecimal()
        if (entry / "saved_model.pb").is_file()
    ]
    if not numbers:
        return None
    number = max(numbers)
    return Version(number, model_dir / str(number))


def read_training(saved_model: Path) -> dict[str, Any]:
    """Returns what an exported model tells of its training: backbone, weights, classes, stages."""
    file = saved_model / EXTRA / TRAINING_FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


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


def publish(
    saved_model: Path, model_dir: Path, *, schema: Path | None, facts: Mapping[str, Any]
) -> tuple[Version, bool]:
    """Makes a SavedModel the version that serves, unless it already does.

    Returns:
        The version, and whether it is new.

    Raises:
        OSError: if it can't be written whole; then nothing has become visible.
    """
    digest = model_digest(saved_model)
    serving = serving_version(model_dir)
    if serving is not None and serving.digest == digest:
        return serving, False
    model_dir.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(model_dir)
    staging = model_dir / f"{_STAGING_PREFIX}{uuid.uuid4().hex}"
    try:
        shutil.copytree(saved_model, staging)
        extra = staging / EXTRA
        extra.mkdir(exist_ok=True)
        if schema is not None:
            shutil.copyfile(schema, extra / SCHEMA_FILE)
        text = json.dumps({"digest": digest, **facts}, indent=2, ensure_ascii=False)
        (extra / FACTS_FILE).write_text(text + "\n", encoding="utf-8")
        _flush_tree(staging)
        version = _next_version(model_dir)
        os.rename(staging, version.path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _flush(model_dir)
    return version, True


def _next_version(model_dir: Path) -> Version:
    """Numbers grow for ever: a folder with a number, complete or not, is never written to."""
    taken = [int(entry.name) for entry in model_dir.iterdir() if entry.name.isdecimal()]
    number = max(taken, default=0) + 1
    return Version(number, model_dir / str(number))


def _remove_leftovers(model_dir: Path) -> None:
    """Removes what killed runs left behind; the output's lock keeps other writers away."""
    for entry in model_dir.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(entry, ignore_errors=True)


def _flush_tree(root: Path) -> None:
    for folder, _, files in os.walk(root):
        for name in files:
            _flush(Path(folder) / name)
        _flush(Path(folder))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
