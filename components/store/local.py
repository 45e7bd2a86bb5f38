"""A store in a folder of a file system."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from components.store.base import (
    MAX_TEXT_BYTES,
    ConflictError,
    FileFacts,
    Stamped,
    Store,
    StoreError,
    checked,
)

_STAGING_PREFIX = ".staging-"
_LOCK = ".store.lock"


class LocalStore(Store):
    """Files reach their place by a rename, flushed to the disk before it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._folder = folder

    def child(self, *names: str) -> Self:
        """Returns the store of a folder below this one."""
        return type(self)(self._folder / checked(*names))

    def exists(self, name: str) -> bool:
        """Tells whether there is a file or a folder of this name."""
        with _told(self.address):
            return self._path(name).exists()

    def names(self) -> list[str]:
        """Returns the names of the files and folders right below."""
        with _told(self.address):
            try:
                found = os.listdir(self._folder)
            except (FileNotFoundError, NotADirectoryError):
                return []
        hidden = (_STAGING_PREFIX, _LOCK)
        return sorted(name for name in found if not name.startswith(hidden))

    def walk(self) -> list[FileFacts]:
        """Returns every file below."""
        if not self._folder.is_dir():
            return []
        with _told(self.address):
            found = [(name, path.stat()) for path, name in files_in(self._folder)]
        return [FileFacts(name, status.st_size, status.st_mtime_ns) for name, status in found]

    def size(self, name: str) -> int:
        """Returns the size of a file."""
        return self._path(name).stat().st_size

    def read_bytes(self, name: str) -> bytes:
        """Returns what is in a file."""
        return self._path(name).read_bytes()

    def read_stamped(self, name: str) -> Stamped | None:
        """Returns a file's text; its token is a digest of it."""
        path = self._path(name)
        with _told(str(path)):
            try:
                with path.open("rb") as file:
                    contents = file.read(MAX_TEXT_BYTES + 1)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return Stamped(decoded(contents, str(path)), hashlib.sha256(contents).hexdigest())

    def write_text(self, name: str, text: str) -> None:
        """Writes a file, whole or not at all."""
        path = self._path(name)
        with _told(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            staging = path.with_name(f"{_STAGING_PREFIX}{uuid.uuid4().hex}")
            with _removed(staging):
                staging.write_text(text, encoding="utf-8")
                _move(staging, path)

    def replace_text(self, name: str, text: str, expected: str | None) -> None:
        """Compares and writes under a lock that ends with the process."""
        path = self._path(name)
        with _told(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with (path.parent / _LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                found = self.read_stamped(name)
                if (found.token if found else None) != expected:
                    raise ConflictError(f"'{path}' was changed by another process meanwhile")
                self.write_text(name, text)

    def fetch(self, name: str, folder: Path) -> Path:
        """Copies a file or a tree into a local folder."""
        source = self._path(name)
        if not source.exists():
            raise FileNotFoundError(f"there is no '{source}'")
        with _told(str(source)), arriving(folder / source.name) as staging:
            if source.is_dir():
                shutil.copytree(source, staging)
            else:
                shutil.copyfile(source, staging)
        return folder / source.name

    def put(self, path: Path, name: str) -> None:
        """Copies a local file or tree to this name, file by file."""
        target = self._path(name)
        files = files_in(path)
        with _told(str(target)):
            for file, relative in files:
                place = target / relative if relative else target
                place.parent.mkdir(parents=True, exist_ok=True)
                staging = place.with_name(f"{_STAGING_PREFIX}{uuid.uuid4().hex}")
                with _removed(staging):
                    shutil.copyfile(file, staging)
                    _move(staging, place)

    def remove(self, name: str) -> None:
        """Removes a file, or a folder with all that is in it."""
        path = self._path(name)
        with _told(str(path)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / checked(name)


def files_in(path: Path) -> list[tuple[Path, str]]:
    """Returns each file below a path with its name relative to it; "" for a file itself.

    Raises:
        FileNotFoundError: if there is nothing at this path.
    """
    if not path.is_dir():
        path.stat()
        return [(path, "")]
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    return [(file, file.relative_to(path).as_posix()) for file in files]


def decoded(contents: bytes, name: str) -> str:
    """Returns bytes as text.

    Raises:
        StoreError: if it is too long, or no UTF-8.
    """
    if len(contents) > MAX_TEXT_BYTES:
        raise StoreError(f"'{name}' has more than {MAX_TEXT_BYTES} bytes, too many for such a file")
    try:
        return contents.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StoreError(f"'{name}' is no text in UTF-8 ({error})") from None


@contextlib.contextmanager
def arriving(target: Path) -> Iterator[Path]:
    """Yields a path beside the target; what was made there is moved to it if all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f"{_STAGING_PREFIX}{uuid.uuid4().hex}")
    with _removed(staging):
        yield staging
        os.replace(staging, target)


@contextlib.contextmanager
def _removed(staging: Path) -> Iterator[None]:
    try:
        yield
    finally:
        if staging.is_dir():
            shutil.rmtree(staging, ignore_errors=True)
        else:
            staging.unlink(missing_ok=True)


def _move(source: Path, target: Path) -> None:
    _flush(source)
    os.replace(source, target)
    _flush(target.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"'{path}' can't be used ({error.strerror or error})") from error
