"""Lists the labelled images below a folder, in any of the layouts, without opening one.

Everything that can be said about wrong input before the heavy work is said from here. Only the
standard library is imported, so a command can list before it pays for TensorFlow.
"""

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from components import features
from components.errors import DataError

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp"))
# Images that no part of the pipeline can decode: they are listed, to be set aside with a reason.
FOREIGN_SUFFIXES = frozenset(
    (".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".ico", ".psd", ".svg")
) | frozenset((".ppm", ".pgm", ".pnm", ".tga", ".dcm", ".raw", ".dng", ".cr2", ".nef", ".arw"))
TFRECORD_SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec")
SPLIT_FOLDERS = {
    "train": features.TRAIN,
    "val": features.VAL,
    "validation": features.VAL,
    "test": features.TEST,
}


@dataclass(frozen=True)
class Item:
    """One labelled image that was found, not opened yet (or one shard of TFRecords).

    Attributes:
      id: path relative to the root, with "/"; for a record "shard#number".
      path: absolute path of the file.
      label: class name; empty for TFRecords, where it is in the record.
      split: official split, or None.
      group: images of one group share a split; empty where there is none.
      extra: further columns of the manifest by feature name.
      size: length of the file in bytes.
      mtime_ns: its time of change.
      offset: where the record begins in the file.
      length: of the record in bytes; -1 stands for the whole file.
    """

    id: str
    path: str
    label: str
    split: str | None = None
    group: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    mtime_ns: int = 0
    offset: int = 0
    length: int = -1


@dataclass(frozen=True)
class Listing:
    """What lies below a root.

    Attributes:
      layout: "folders", "split_folders", "csv" or "tfrecord".
      items: in order of their ids.
      ignored: files that aren't images, counted by suffix.
      renamed: columns whose name is taken by a feature of the pipeline -> the name they got.
    """

    layout: str
    items: tuple[Item, ...]
    ignored: Mapping[str, int]
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundFile:
    """A regular file below the root: path, path relative to the root, size, time of change."""

    path: str
    relative: str
    size: int
    mtime_ns: int

    @property
    def suffix(self) -> str:
        """Returns the suffix in lower case, with its dot."""
        return os.path.splitext(self.relative)[1].lower()

    @property
    def is_image(self) -> bool:
        """Tells by the suffix."""
        return self.suffix in IMAGE_SUFFIXES or self.suffix in FOREIGN_SUFFIXES

    @property
    def is_tfrecord(self) -> bool:
        """Tells by the name: *.tfrecord, *.tfrecord-00000-of-00010, either with .gz or not."""
        name = self.relative.lower().removesuffix(".gz")
        return name.endswith(TFRECORD_SUFFIXES) or ".tfrecord-" in name


def fingerprint(listing: Listing) -> str:
    """Digests what was found: names, sizes, times of change, and all that a manifest says."""
    digest = hashlib.sha256(listing.layout.encode())
    for item in listing.items:
        facts = (item.id, item.label, item.split, item.group, sorted(item.extra.items()))
        digest.update(json.dumps((*facts, item.size, item.mtime_ns)).encode())
    return digest.hexdigest()


def text_of(name: str) -> str:
    """Returns a file name as valid Unicode, bytes that aren't UTF-8 as hexadecimal escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def class_name(value: str, class_names: tuple[str, ...] | None) -> str | None:
    """Returns the class that a label stands for; None if it is neither a name nor an index.

    Args:
      value: a label as the data has it.
      class_names: names by index; None takes every label as a name.
    """
    if class_names is None or value in class_names:
        return value
    index = value.strip()
    known = index.isdecimal() and int(index) < len(class_names)
    return class_names[int(index)] if known else None


def free_name(column: str) -> str:
    """Returns the feature name of a further column, out of the way of the pipeline's own."""
    return f"{column}_given" if column in features.RAW_FEATURES else column


def check_labels(labels: set[str]) -> None:
    """Refuses labels that can't be told apart or can't stand in a vocabulary file.

    Raises:
      DataError: naming the label.
    """
    for label in sorted(labels):
        # The vocabulary has one class name a line.
        if not label.strip() or label.splitlines() != [label]:
            raise DataError(f"class name {label!r} is blank or holds a line break: rename it")
    if len(labels) < 2:
        found = f"only one class, {next(iter(labels))!r}" if labels else "no class"
        raise DataError(f"found {found}: a classifier needs at least two")


def walk(root: str) -> Iterator[FoundFile]:
    """Yields the regular files below `root`, in order of their names, without hidden ones.

    Symlinks to files inside the root are followed.

    Raises:
      DataError: if a symlink leads out of the root, or to a folder.
    """
    pending = [root]
    while pending:
        folder = pending.pop()
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        subfolders = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                refuse_escape(root, entry.path, os.path.realpath(entry.path))
                _refuse_linked_folder(entry)
            if entry.is_dir(follow_symlinks=False):
                subfolders.append(entry.path)
            elif entry.is_file():
                status = entry.stat()
                relative = text_of(os.path.relpath(entry.path, root)).replace(os.sep, "/")
                yield FoundFile(entry.path, relative, status.st_size, status.st_mtime_ns)
        pending.extend(reversed(subfolders))


def _refuse_linked_folder(entry: os.DirEntry) -> None:
    """Its images would be listed twice, or the walk never end; to pass over it loses a class."""
    if entry.is_dir():
        target = text_of(os.path.realpath(entry.path))
        raise DataError(
            f"{text_of(entry.path)} is a link to a folder, {target}: links to files are followed, "
            "to folders they are not. Move or copy the folder there"
        )


def refuse_escape(root: str, given: str, target: str) -> None:
    """Raises DataError if `target`, an absolute path without symlinks, isn't below `root`."""
    if not is_inside(root, target):
        raise DataError(
            f"{text_of(given)} leads out of the data path, to {text_of(target)}: only files "
            f"below {root} are read, so copy it there or give a data path above both"
        )


def is_inside(root: str, target: str) -> bool:
    """Tells whether an absolute path without symlinks is `root` or below it."""
    return target == root or target.startswith(root.rstrip(os.sep) + os.sep)


def regular_file(path: str) -> os.stat_result | None:
    """Returns the status of a regular file; None if there is none of that name."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the name.
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def ignored_suffixes(files: list[FoundFile]) -> dict[str, int]:
    """Counts files by suffix, the most frequent first."""
    counts = Counter(file.suffix or "(none)" for file in files)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
