"""Makes another version the one that serves, without a moment in which a third one does.

Servers take the highest number that they see, so newer versions are renamed into a hidden folder.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from components.errors import InputError
from components.model_versions.folder import (
    FAILED,
    WAIT_SECONDS,
    WITHDRAWN,
    flush,
    move,
    numbered,
    writing,
)
from components.model_versions.holds import set_hold
from components.model_versions.versions import AnyVersion, Version, list_versions, serving_version

V = TypeVar("V", bound=AnyVersion)


class VersionError(InputError):
    """A version that can't be made the one that serves."""


def roll_back(model_dir: Path, version: int | None = None, wait: float = WAIT_SECONDS) -> Version:
    """Makes an older version serve, and sets a hold first: the next run must not undo it.

    Args:
        model_dir: folder of the model's versions.
        version: which; None: the visible one below the one that serves.
        wait: seconds to wait for another writer at most.

    Returns:
        The version that serves now.

    Raises:
        VersionError: if there is no such version, or it is not older; without a number also if
            another version began to serve while another writer was waited for.
        OutputError: if another writer held the folder all the time.
    """
    _check_there(model_dir)
    seen = serving_version(model_dir)
    with writing(model_dir, wait):
        serving, target = choose_older(list_versions(model_dir), version, seen, str(model_dir))
        return _switch(model_dir, serving, target)


def promote(model_dir: Path, version: int, wait: float = WAIT_SECONDS) -> Version:
    """Makes any version serve; going to an older one sets a hold first, as a rollback does.

    Args:
        model_dir: folder of the model's versions.
        version: which; it may be out of sight.
        wait: seconds to wait for another writer at most.

    Returns:
        The version that serves now.

    Raises:
        VersionError: if there is no such version, or it serves already.
        OutputError: if another writer held the folder all the time.
    """
    _check_there(model_dir)
    with writing(model_dir, wait):
        versions = list_versions(model_dir)
        return _switch(model_dir, find_serving(versions), find(versions, version))


def withdraw(model_dir: Path, version: int, wait: float = WAIT_SECONDS) -> None:
    """Takes a version that was pushed in vain out of sight, unless a person has done so.

    No hold is set, and the same model may be pushed again.

    Args:
        model_dir: folder of the model's versions.
        version: which.
        wait: seconds to wait for another writer at most.

    Raises:
        VersionError: if there is no such version.
        OutputError: if another writer held the folder all the time.
    """
    with writing(model_dir, wait):
        found = find(list_versions(model_dir), version)
        if found.state in ("serving", "visible"):
            (model_dir / FAILED).mkdir(exist_ok=True)
            flush(model_dir)
            move(found.path, model_dir / FAILED / found.path.name)


def _check_there(model_dir: Path) -> None:
    if not model_dir.is_dir():
        raise VersionError(f"there is no folder '{model_dir}': no version was ever pushed there")


def choose_older(
    versions: Sequence[V], version: int | None, seen: V | None, where: str
) -> tuple[V, V]:
    """Returns the version that serves and the older one to go back to.

    Args:
        versions: all of them.
        version: the number asked for; None: the visible one below the one that serves.
        seen: what served when this was asked for.
        where: they are, for messages.

    Raises:
        VersionError: if there is no such version, it is not older, or another one serves than was
            seen where none is asked for by its number.
    """
    serving = find_serving(versions)
    if serving is None:
        raise VersionError(f"no version serves in '{where}'; {_known(versions)}")
    if version is None and serving != seen:
        # The one below it may be the very one that is to go.
        raise VersionError(
            f"version {serving.number} has just begun to serve: name the version to go back to; "
            f"{_known(versions)}"
        )
    target = _below(versions, serving) if version is None else find(versions, version)
    if target.number > serving.number:
        raise VersionError(
            f"version {target.number} is newer than version {serving.number}, which serves: use "
            f"'effnet models promote {target.number}'"
        )
    return serving, target


def find_serving(versions: Sequence[V]) -> V | None:
    """Returns the version that serves, if one does."""
    return next((version for version in versions if version.state == "serving"), None)


def find(versions: Sequence[V], number: int) -> V:
    """Returns a version by its number.

    Raises:
        VersionError: if there is none.
    """
    for version in versions:
        if version.number == number:
            return version
    raise VersionError(f"there is no version {number}; {_known(versions)}")


def reason(former: AnyVersion, target: AnyVersion) -> str:
    """Returns why nothing is pushed after going back."""
    return f"went back from version {former.number} to {target.number}"


def check_serves_not(target: AnyVersion) -> None:
    """Refuses to switch to what serves.

    Raises:
        VersionError: if it does.
    """
    if target.state == "serving":
        raise VersionError(f"version {target.number} serves already")


def _below(versions: Sequence[V], serving: V) -> V:
    below = [version for version in versions if version.state == "visible"]
    if not below:
        raise VersionError(
            f"there is no version to go back to below version {serving.number}, which serves; "
            f"{_known(versions)}"
        )
    return below[-1]


def _known(versions: Sequence[AnyVersion]) -> str:
    names = [
        f"{version.number}" if version.state == "visible" else f"{version.number} ({version.state})"
        for version in versions
    ]
    return f"there are: {', '.join(names)}" if names else "there are none at all"


def _switch(model_dir: Path, serving: Version | None, target: Version) -> Version:
    """Makes the target serve, and sets a hold before anything moves if that means going back."""
    check_serves_not(target)
    # What has to leave for the target to be the highest; None on the way up.
    newer = serving if serving is not None and serving.number > target.number else None
    moves = _moves(model_dir, newer, target)
    for source, place in moves:
        if os.path.lexists(place):
            raise VersionError(
                f"'{place}' is in the way of '{source}': a number stands for one version; move "
                "one of the two out of the model's folder"
            )
    if newer is not None:
        set_hold(model_dir, reason(newer, target), target.number)
    (model_dir / WITHDRAWN).mkdir(exist_ok=True)
    flush(model_dir)
    for source, place in moves:
        move(source, place)
    return Version(target.number, model_dir / target.path.name)


def _moves(model_dir: Path, newer: Version | None, target: Version) -> list[tuple[Path, Path]]:
    """Returns what is renamed to what, in an order that can be cut off anywhere.

    What is neither the former nor the new one goes first. Going up, the last rename brings the new
    one into sight. Going down, the new one is in sight below the former one by then, and the last
    rename takes the former one away.
    """
    above = {number: path for number, path in numbered(model_dir).items() if number > target.number}
    former = [] if newer is None else [above.pop(newer.number)]
    restored = [] if target.state == "visible" else [target.path]
    withdrawn = model_dir / WITHDRAWN
    return [
        # Broken folders as well: a server would try to load the highest.
        *((path, withdrawn / path.name) for path in above.values()),
        *((path, model_dir / path.name) for path in restored),
        *((path, withdrawn / path.name) for path in former),
    ]
