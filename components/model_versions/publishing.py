"""Adds a version: the one way for a model to become visible to servers."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import run_events
from components.errors import EffnetError
from components.features import EXTRA
from components.model_versions.folder import (
    WITHDRAWN,
    flush,
    flush_tree,
    move,
    numbered,
    scratch,
    writing,
)
from components.model_versions.holds import read_hold
from components.model_versions.versions import (
    FACTS_FILE,
    SCHEMA_FILE,
    Version,
    list_versions,
    model_digest,
    serving_state,
    serving_version,
)


class PushWithheldError(EffnetError):
    """A model may not be pushed now, however good it is; the message says why."""


def publish(
    saved_model: Path,
    model_dir: Path,
    *,
    schema: Path | None,
    facts: Mapping[str, Any],
    expected: str | None = None,
    keep: int | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> tuple[Version, bool]:
    """Makes a SavedModel the version that serves, unless it already does.

    Args:
        saved_model: the model's folder.
        model_dir: folder of the model's versions.
        schema: kept with the version.
        facts: JSON values, recorded with the version.
        expected: `serving_state` of what the model was judged against; None: whatever serves.
        keep: how many versions stay, at least 2; None: all of them.
        extra: further files kept with the version, by name.

    Returns:
        The version, and whether it is new.

    Raises:
        PushWithheldError: if a hold is set, or another version serves than was expected.
        OSError: if it can't be written whole.
        OutputError: if another writer held the folder for ten minutes.
        In each case nothing has become visible.
    """
    digest = model_digest(saved_model)
    model_dir.mkdir(parents=True, exist_ok=True)
    flush(model_dir.parent)
    with writing(model_dir):
        serving = serving_version(model_dir)
        if serving is not None and serving.digest == digest:
            return serving, False
        _check_free(model_dir, serving, expected)
        staging = scratch(model_dir)
        _stage(saved_model, staging, schema, {"digest": digest, **facts})
        _add(staging / EXTRA, extra or {})
        flush_tree(staging)
        version = _next_version(model_dir)
        move(staging, version.path)
        if keep is not None:
            _remove_old(model_dir, keep)
        return version, True


def _check_free(model_dir: Path, serving: Version | None, expected: str | None) -> None:
    hold = read_hold(model_dir)
    if hold is not None:
        raise PushWithheldError(
            f"pushing is {hold}; 'effnet models release' lets the next run push again"
        )
    found = serving_state(serving)
    if expected not in (None, found):
        raise PushWithheldError(
            f"{_name(found)} serves now, but {_name(expected)} did when the candidate was judged; "
            "run again, and it is judged against what serves"
        )


def _name(state: str | None) -> str:
    """Names a state by its number, and enough of the digest to tell two contents apart."""
    number, _, digest = (state or "none").partition(":")
    return f"version {number} (content {digest[:8]})" if digest else "no version"


def _stage(saved_model: Path, staging: Path, schema: Path | None, facts: Mapping[str, Any]) -> None:
    shutil.copytree(saved_model, staging)
    extra = staging / EXTRA
    extra.mkdir(exist_ok=True)
    if schema is not None:
        shutil.copyfile(schema, extra / SCHEMA_FILE)
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (extra / FACTS_FILE).write_text(text + "\n", encoding="utf-8")


def _add(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _next_version(model_dir: Path) -> Version:
    """Numbers grow for ever: one that was ever given, withdrawn or broken, is never given again."""
    number = max([*numbered(model_dir), *numbered(model_dir / WITHDRAWN)], default=0) + 1
    return Version(number, model_dir / str(number))


def _remove_old(model_dir: Path, keep: int) -> None:
    """Leaves `keep` versions; each other one goes out of sight whole, and is deleted after that.

    Beside the one that serves, the one that a rollback goes back to stays, however old it is.
    """
    versions = list_versions(model_dir)
    spared = [version for version in versions if version.state != "withdrawn"][-2:]
    removable = [version for version in versions if version not in spared]
    try:
        for version in removable[: max(0, len(versions) - keep)]:
            os.rename(version.path, scratch(model_dir))
    except OSError as error:
        # The push itself has succeeded.
        run_events.warn(f"old versions of the model could not be removed: {error}")
