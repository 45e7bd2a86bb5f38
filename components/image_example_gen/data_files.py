"""The files of a data path, on a file system or in a bucket, before any is read.

Paths in a bucket are whole addresses, s3://... or gs://..., so that an item tells by its path how
it is read. A bucket knows no links, and is asked once for all names.
"""

import os
import posixpath
from collections.abc import Callable
from functools import lru_cache

from components.image_example_gen.source import FoundFile, regular_file, walk
from components.store import is_remote, open_store

# Returns the path that a name stands for, and the size and time of change of the file there.
Finder = Callable[[str], tuple[str, FoundFile | None]]


def resolve(path: str) -> str:
    """Returns an absolute path with symlinks resolved; an address without what ends it."""
    return path.rstrip("/") if is_remote(path) else os.path.realpath(path)


def exists(path: str) -> bool:
    """Tells whether there is a file or a folder."""
    if not is_remote(path):
        return os.path.exists(path)
    if "/" not in path.partition("://")[2]:  # the bucket itself
        return bool(open_store(path).names())
    parent, _, name = path.rpartition("/")
    return open_store(parent).exists(name)


def is_file(path: str) -> bool:
    """Tells whether there is a file; in a bucket, nothing may be below it."""
    if not is_remote(path):
        return os.path.isfile(path)
    return exists(path) and not open_store(path).names()


def names(folder: str) -> list[str]:
    """Returns the names in a folder, sorted; [] if it isn't there."""
    if is_remote(folder):
        return open_store(folder).names()
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def list_files(root: str) -> list[FoundFile]:
    """Returns the files below a root, without hidden ones; see `source.walk`."""
    if not is_remote(root):
        return list(walk(root))
    return [
        FoundFile(f"{root}/{file.name}", file.name, file.size, file.mtime_ns)
        for file in open_store(root).walk()
        if not any(part.startswith(".") for part in file.name.split("/"))
    ]


def size(path: str) -> int:
    """Returns the size of a file in bytes.

    Raises:
      OSError: if it can't be read.
      StoreError: if the bucket can't be used.
    """
    if is_remote(path):
        folder, name = os.path.split(path)
        return open_store(folder).size(name)
    return os.path.getsize(path)


def read(path: str) -> bytes:
    """Returns what is in a file.

    Raises:
      OSError: if it can't be read.
      StoreError: if the bucket can't be used.
    """
    if is_remote(path):
        folder, name = os.path.split(path)
        return open_store(folder).read_bytes(name)
    with open(path, "rb") as file:
        return file.read()


def finder(root: str, files: list[FoundFile]) -> Finder:
    """Returns what finds a file by its name relative to a root."""
    if not is_remote(root):
        return _local_finder(root)
    known = {file.path: file for file in files}

    def find(name: str) -> tuple[str, FoundFile | None]:
        if is_remote(name):
            scheme, _, rest = name.partition("://")
        else:
            scheme, _, rest = root.partition("://")
            rest = posixpath.join(rest, name)
        path = f"{scheme}://{posixpath.normpath(rest)}"
        return path, known.get(path)

    return find


def _local_finder(root: str) -> Finder:
    # Many images share a folder: its symlinks are resolved once.
    real_folder = lru_cache(maxsize=None)(os.path.realpath)

    def find(name: str) -> tuple[str, FoundFile | None]:
        path = os.path.join(root, name)
        status = regular_file(path)
        folder, last = os.path.split(path)
        if last in ("", ".", "..") or os.path.islink(path):
            path = os.path.realpath(path)
        elif "\0" not in name:
            path = os.path.join(real_folder(folder), last)
        found = status and FoundFile(path, name, status.st_size, status.st_mtime_ns)
        return path, found

    return find
