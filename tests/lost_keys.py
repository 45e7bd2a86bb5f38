"""What a client's model of a Kubernetes object doesn't know, and so drops without a word."""

from collections.abc import Iterator
from typing import Any


def lost_keys(written: Any, read: Any) -> list[str]:
    """Returns the paths of what was not read; a model may add what it requires."""
    return list(_lost(written, read, ()))


def _lost(written: Any, read: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            yield from _lost(value, read.get(key), (*path, key))
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for number, value in enumerate(written):
            yield from _lost(value, read[number], (*path, str(number)))
    elif written != read:
        yield ".".join(path)
