"""Files of JSON lines, by which the steps of ingestion hand on lists of images."""

import json
from collections.abc import Iterable
from typing import Any

from tfx.dsl.io import fileio

from components.image_example_gen.records import Checked, SetAside, from_plain
from components.image_example_gen.source import Item


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
