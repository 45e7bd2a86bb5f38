"""Reads a CSV manifest: one row an image, with its label, split, group and further columns."""

import csv
import io
import itertools
import os
from dataclasses import dataclass, field

from components.errors import DataError
from components.image_example_gen import data_files
from components.image_example_gen.config import DataConfig, FieldNames
from components.image_example_gen.source import (
    SPLIT_FOLDERS,
    FoundFile,
    Item,
    Listing,
    class_name,
    free_name,
    ignored_suffixes,
    is_inside,
)

_SHOWN = 5


@dataclass(frozen=True)
class _Columns:
    image: str
    label: str
    split: str | None
    group: str | None
    extra: dict[str, str]  # column -> feature


@dataclass
class _Problems:
    """What is wrong with rows, gathered so that one message tells of all."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, where: str) -> None:
        self.found.setdefault(kind, []).append(where)

    def refuse(self, manifest: str) -> None:
        if not self.found:
            return
        told = []
        for kind, places in self.found.items():
            more = ", ..." if len(places) > _SHOWN else ""
            told.append(f"{len(places)} {kind} ({', '.join(places[:_SHOWN])}{more})")
        raise DataError(f"{manifest}: {'; '.join(told)}")


def read_header(path: str) -> list[str]:
    """Returns the column names of a CSV file, empty if it has none.

    Raises:
      DataError: if the file isn't UTF-8.
    """
    rows = _read_rows(path, first_only=True)
    return rows[0][1] if rows else []


def list_manifest(root: str, files: list[FoundFile], config: DataConfig) -> Listing:
    """Lists the images that a manifest names.

    Args:
      root: absolute path with symlinks resolved, or an address; image paths are relative to it.
      files: all files below the root.
      config: names of the manifest and of its columns.

    Raises:
      DataError: if the manifest can't be read, or a row of it is wrong.
    """
    path = _find_manifest(root, files, config)
    name = os.path.basename(path)
    rows = _read_rows(path)
    if len(rows) < 2:
        raise DataError(f"{name} has no rows below its header")
    header = rows[0][1]
    columns = _columns(name, header, config.fields)
    reader = _RowReader(root, data_files.finder(root, files), columns, config)
    items = []
    for line, row in rows[1:]:
        if len(row) == len(header):
            items.append(reader.read(line, dict(zip(header, row, strict=True))))
        else:
            place = f"row {line}: {len(row)}"
            reader.problems.add(f"rows that don't have {len(header)} fields", place)
    reader.problems.refuse(name)
    listed = {item.path for item in items if item}
    ignored = [file for file in files if file.path not in listed and file.path != path]
    ordered = sorted((item for item in items if item), key=lambda item: (item.id, item.label))
    renamed = {old: new for old, new in columns.extra.items() if old != new}
    return Listing("csv", tuple(ordered), ignored_suffixes(ignored), renamed)


def _find_manifest(root: str, files: list[FoundFile], config: DataConfig) -> str:
    if config.manifest:
        path, found_file = data_files.finder(root, files)(config.manifest)
        if not is_inside(root, path) or found_file is None:
            raise DataError(f"the manifest {config.manifest} isn't a file below {root}")
        return path
    found = [file for file in files if file.suffix == ".csv" and "/" not in file.relative]
    if len(found) != 1:
        names = ", ".join(file.relative for file in found[:_SHOWN])
        raise DataError(
            f"{root} holds {len(found)} CSV files{': ' + names if names else ''}; name the "
            "manifest in data.manifest"
        )
    return found[0].path


def _read_rows(path: str, first_only: bool = False) -> list[tuple[int, list[str]]]:
    """Returns rows that aren't blank, each with the number of its (last) line."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front.
        with io.StringIO(data_files.read(path).decode("utf-8-sig"), newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = ((reader.line_num, row) for row in reader if row)
            return list(itertools.islice(rows, 1 if first_only else None))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} isn't UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x}): save "
            "it as UTF-8"
        ) from None
    except csv.Error as error:
        raise DataError(f"{path} isn't well-formed CSV: {error}") from None


def _columns(manifest: str, header: list[str], fields: FieldNames) -> _Columns:
    """Matches columns to their meaning; `split` and `group` are optional unless they are set."""
    if len(set(header)) != len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise DataError(f"{manifest} has columns of the same name: {', '.join(twice)}")
    split = fields.split or ("split" if "split" in header else None)
    group = fields.group or ("group" if "group" in header else None)
    needed = [name for name in (fields.image, fields.label, split, group) if name]
    missing = [name for name in needed if name not in header]
    if missing:
        separator = "" if len(header) > 1 else " (fields are separated by commas)"
        raise DataError(
            f"{manifest} has no column {', '.join(map(repr, missing))}; its columns are "
            f"{', '.join(map(repr, header))}{separator}: rename them, or name them in data.fields"
        )
    extra = {
        name: free_name(name) if name else f"column_{index}"
        for index, name in enumerate(header)
        if name not in needed
    }
    return _Columns(fields.image, fields.label, split, group, extra)


class _RowReader:
    """Turns rows into items, and gathers what is wrong with them."""

    def __init__(
        self, root: str, find: data_files.Finder, columns: _Columns, config: DataConfig
    ) -> None:
        self.problems = _Problems()
        self._root = root
        self._find_file = find
        self._columns = columns
        self._class_names = config.class_names

    def read(self, line: int, row: dict[str, str]) -> Item | None:
        """Returns the item of a row, or None if something is wrong with it."""
        found = self._find(line, row[self._columns.image])
        label = self._label(line, row[self._columns.label])
        split = self._split(line, row[self._columns.split]) if self._columns.split else None
        if found is None or label is None:
            return None
        extra = self._columns.extra.items()
        return Item(
            id=os.path.relpath(found.path, self._root).replace(os.sep, "/"),
            path=found.path,
            label=label,
            split=split,
            group=row[self._columns.group] if self._columns.group else "",
            # An empty field is a missing value, not a value of its own.
            extra={feature: row[name] for name, feature in extra if row[name]},
            size=found.size,
            mtime_ns=found.mtime_ns,
        )

    def _find(self, line: int, image: str) -> FoundFile | None:
        path, found = self._find_file(image)
        if not is_inside(self._root, path):
            self.problems.add(f"images outside {self._root}", f"row {line}: {image}")
        elif found is None:
            self.problems.add(f"images that don't exist below {self._root}", f"row {line}: {image}")
        return found

    def _label(self, line: int, value: str) -> str | None:
        if not value.strip():
            self.problems.add(f"rows with an empty '{self._columns.label}'", f"row {line}")
            return None
        label = class_name(value, self._class_names)
        if label is None:
            problem = "labels that aren't in data.class_names, nor an index into them"
            self.problems.add(problem, f"row {line}: {value!r}")
        return label

    def _split(self, line: int, value: str) -> str | None:
        name = value.strip().lower()
        if name and name not in SPLIT_FOLDERS:
            known = ", ".join(SPLIT_FOLDERS)
            self.problems.add(f"rows whose split isn't one of {known}", f"row {line}: {value!r}")
        return SPLIT_FOLDERS.get(name)
