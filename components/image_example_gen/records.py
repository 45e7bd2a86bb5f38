"""Small records about images, and their way through files between the steps of ingestion."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from tfx.dsl.io import fileio

from components.image_example_gen.source import Item


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of an image; see `components.features` for the fields' units.

    Attributes:
      rotated: the EXIF orientation isn't upright.
    """

    width: int
    height: int
    channels: int
    format: str
    byte_size: int
    brightness: float
    content_hash: str
    rotated: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Checked:
    """An image that can be used: what was listed and what was found in it."""

    item: Item
    facts: Facts

    def plain(self) -> dict[str, Any]:
        """Returns JSON values."""
        return {"item": vars(self.item), "facts": vars(self.facts)}


@dataclasses.dataclass(frozen=True, eq=False)
class SetAside:
    """An image that can't be used: what was listed, a reason to count by, and its detail."""

    item: Item
    reason: str
    detail: str

    def plain(self) -> dict[str, Any]:
        """Returns JSON values."""
        return {"item": vars(self.item), "reason": self.reason, "detail": self.detail}


def from_plain(values: dict[str, Any]) -> Checked | SetAside:
    """Returns what `plain` took apart."""
    item = Item(**values["item"])
    if "facts" in values:
        return Checked(item, Facts(**values["facts"]))
    return SetAside(item, values["reason"], values["detail"])


def write_lines(path: str, values: Iterable[Any]) -> None:
    """Writes JSON values, one a line."""
    with fileio.open(path, "w") as file:
        # In one write, since a gfile that nothing is written to doesn't come to be.
        file.write("".join(json.dumps(value) + "\n" for value in values))


def read_lines(path: str) -> list[Any]:
    """Reads what `write_lines` wrote."""
    with fileio.open(path, "r") as file:
        return [json.loads(line) for line in file.read().splitlines()]


def write_items(path: str, items: Iterable[Item]) -> None:
    """Writes items, one a line."""
    write_lines(path, (vars(item) for item in items))


def read_items(path: str) -> list[Item]:
    """Reads what `write_items` wrote."""
    return [Item(**values) for values in read_lines(path)]


def write_records(path: str, records: Iterable[Checked | SetAside]) -> None:
    """Writes records, one a line."""
    write_lines(path, (record.plain() for record in records))


def read_records(path: str) -> list[Checked | SetAside]:
    """Reads what `write_records` wrote."""
    return [from_plain(values) for values in read_lines(path)]
