"""Adds a version: the one way for a model to become visible to servers."""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from components import run_events
from components.errors import EffnetError, OutputError
from components.features import EXTRA
from components.model_versions.folder import (
    FAILED,
    WITHDRAWN,
    flush,
    flush_tree,
    move,
    numbered,
    scratch,
    write_file,
    writing,
)
from components.model_versions.holds import Hold, read_hold
from components.model_versions.versions import (
    FACTS_FILE,
    SCHEMA_FILE,
    AnyVersion,
    Version,
    list_versions,
    model_digest,
    serving_state,
    serving_version,
)

_DIGEST_SUFFIX = ".digest"
_DIGEST = re.compile(rb"[0-9a-f]{64}")

V = TypeVar("V", bound=AnyVersion)


class PushWithheldError(EffnetError):
    """A model may not be pushed now, however good it is; the message says why."""


def publish(
    saved_model: Path,
    model_dir: Path,
    *,
    schema: Path | None,
    facts: Mapping[str, Any],
    expected: str | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> tuple[Version, bool]:
    """Makes a SavedModel the version that serves, unless it already does.

    Args:
        saved_model: the model's folder.
        model_dir: folder of the model's versions.
        schema: kept with the version.
        facts: JSON values, recorded with the version.
        expected: `serving_state` of what the model was judged against; None: whatever serves.
        extra: further files kept with the version, by name.

    Returns:
        The version, and whether it is new.

    Raises:
        PushWithheldError: if a hold is set, another version serves than was expected, or a person
            has taken this very model back.
        OSError: if it can't be written whole.
        OutputError: if another writer held the folder for ten minutes, or the record of what
            serves, or of what was taken back, is damaged.
        In each case nothing has become visible.
    """
    digest = model_digest(saved_model)
    model_dir.mkdir(parents=True, exist_ok=True)
    flush(model_dir.parent)
    with writing(model_dir):
        serving = serving_version(model_dir)
        if serving is not None and serving.digest == digest:
            return serving, False
        check_not_taken_back(list_versions(model_dir), digest)
        _check_no_record(model_dir, digest)
        check_free(read_hold(model_dir), serving, expected)
        staging = scratch(model_dir)
        shutil.copytree(saved_model, staging)
        write_extra(staging / EXTRA, schema, {"digest": digest, **facts}, extra or {})
        flush_tree(staging)
        version = _next_version(model_dir)
        _show(staging, version.path)
        return version, True


def check_not_taken_back(versions: Sequence[AnyVersion], digest: str) -> None:
    """What a person has taken back comes back by a person only, also after a release.

    Raises:
        PushWithheldError: if a model of this digest was taken back.
    """
    for version in versions:
        if version.state == "withdrawn" and version.content == digest:
            raise PushWithheldError(
                f"this very model is version {version.number}, which was taken back by hand; "
                f"'effnet models promote {version.number}' makes it serve again"
            )


def taken_back(number: int | str, record: str) -> PushWithheldError:
    """Returns what is raised of a model that was taken back and is not kept any more."""
    return PushWithheldError(
        f"this very model was version {number}, which was taken back by hand and is not kept any "
        f"more; remove {record} to let it be pushed again"
    )


def _check_no_record(model_dir: Path, digest: str) -> None:
    for record in sorted((model_dir / WITHDRAWN).glob(f"*{_DIGEST_SUFFIX}")):
        found = record.read_bytes().strip()
        if not _DIGEST.fullmatch(found):
            # It may be this very model's.
            raise OutputError(
                f"'{record}' is damaged: it must hold the SHA-256 of a model that was taken back, "
                "64 hexadecimal digits; put it back from a copy, or remove it if version "
                f"{record.stem} may be pushed again"
            )
        if found == digest.encode():
            raise taken_back(record.stem, f"'{record}'")


def check_free(hold: Hold | None, serving: AnyVersion | None, expected: str | None) -> None:
    """Checks that nothing stands against a push.

    Raises:
        PushWithheldError: if a hold is set, or another version serves than was expected.
    """
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


def write_extra(
    folder: Path, schema: Path | None, facts: Mapping[str, Any], files: Mapping[str, bytes]
) -> None:
    """Writes what is kept with a version beside its model.

    Args:
        folder: the model's assets.extra, which need not be there.
        schema: copied there.
        facts: JSON values, recorded there.
        files: contents of further files by name.
    """
    folder.mkdir(exist_ok=True)
    if schema is not None:
        shutil.copyfile(schema, folder / SCHEMA_FILE)
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (folder / FACTS_FILE).write_text(text + "\n", encoding="utf-8")
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _show(staging: Path, path: Path) -> None:
    try:
        move(staging, path)
    except OSError:
        # In sight already, it may be, but not surely on the disk.
        if path.exists():
            os.rename(path, staging)
        raise


def _next_version(model_dir: Path) -> Version:
    """Numbers grow for ever: one that was ever given, withdrawn or broken, is never given again."""
    folders = (model_dir, model_dir / WITHDRAWN, model_dir / FAILED)
    number = max((number for folder in folders for number in numbered(folder)), default=0) + 1
    return Version(number, model_dir / str(number))


def remove_old(model_dir: Path, keep: int) -> None:
    """Leaves `keep` versions; each other one goes out of sight whole, and is deleted after that.

    Beside the one that serves, the one that a rollback goes back to stays, however old it is, and
    the highest number, which would be given again. What can't be removed is warned of.

    Args:
        model_dir: folder of the model's versions.
        keep: how many versions stay, at least 2.
    """
    try:
        with writing(model_dir):
            for version in removable(list_versions(model_dir), keep):
                if version.state == "withdrawn":
                    name = f"{WITHDRAWN}/{version.number}{_DIGEST_SUFFIX}"
                    write_file(model_dir, name, f"{version.content}\n")
                os.rename(version.path, scratch(model_dir))
    except (OSError, OutputError) as error:
        # The push itself has succeeded.
        run_events.warn(f"old versions of the model could not be removed: {error}")


def removable(versions: list[V], keep: int) -> list[V]:
    """Returns the oldest versions but `keep`, without those that must stay; see `remove_old`."""
    seen = [version for version in versions if version.state in ("serving", "visible")]
    spared = [*seen[-2:], *versions[-1:]]
    others = [version for version in versions if version not in spared]
    return others[: max(0, len(versions) - keep)]
