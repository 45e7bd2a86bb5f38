"""What every store can do."""

import abc
from pathlib import Path
from typing import NamedTuple, Self

from components.errors import EffnetError, InputError

MAX_TEXT_BYTES = 64 * 2**20


class StoreError(InputError):
    """A file system, a bucket or the way into it can't be used as it is set."""


class ConflictError(EffnetError):
    """Another process has changed a file since it was read; nothing was written."""


class Stamped(NamedTuple):
    """A file's text, and the token of the version that was read."""

    text: str
    token: str


class FileFacts(NamedTuple):
    """What is known of a file without opening it."""

    name: str  # below the store
    size: int  # bytes
    mtime_ns: int  # of its last change


class Store(abc.ABC):
    """A folder of a file system, or a prefix of a bucket; it need not be there yet.

    A name is a relative path with `/` between its parts; none of them may be empty, `.` or `..`,
    so that nothing outside the address can be reached.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    @abc.abstractmethod
    def child(self, *names: str) -> Self:
        """Returns the store of a folder below this one."""

    @abc.abstractmethod
    def exists(self, name: str) -> bool:
        """Tells whether there is a file or a folder of this name."""

    @abc.abstractmethod
    def names(self) -> list[str]:
        """Returns the names of the files and folders right below, sorted; [] where none is."""

    @abc.abstractmethod
    def walk(self) -> list[FileFacts]:
        """Returns every file below, however deep, in order of their names; [] where none is."""

    @abc.abstractmethod
    def size(self, name: str) -> int:
        """Returns the size of a file in bytes.

        Raises:
            OSError: if it is not there, or must not be read.
            StoreError: if the store can't be used.
        """

    @abc.abstractmethod
    def read_bytes(self, name: str) -> bytes:
        """Returns what is in a file.

        Raises:
            OSError: if it is not there, or must not be read.
            StoreError: if the store can't be used.
        """

    @abc.abstractmethod
    def read_stamped(self, name: str) -> Stamped | None:
        """Returns a file's text with its token for `replace_text`, or None where it is absent.

        Raises:
            StoreError: if it can't be read, is no UTF-8, or is larger than 64 MiB.
        """

    def read_text(self, name: str) -> str | None:
        """Returns a file's text, or None where it is absent.

        Raises:
            StoreError: if it can't be read, is no UTF-8, or is larger than 64 MiB.
        """
        stamped = self.read_stamped(name)
        return None if stamped is None else stamped.text

    @abc.abstractmethod
    def write_text(self, name: str, text: str) -> None:
        """Writes a file, whole or not at all, in the place of one that may be there.

        Raises:
            StoreError: if it can't be written.
        """

    @abc.abstractmethod
    def replace_text(self, name: str, text: str, expected: str | None) -> None:
        """Writes a file only over the version that was read.

        The text should differ from every one that stood there before: tokens are made of contents.

        Args:
            name: of the file.
            text: what it is to hold.
            expected: `Stamped.token` of what it replaces; None: it must not be there yet.

        Raises:
            ConflictError: if another version is there by now.
            StoreError: if it can't be written, or the store has no conditional writes.
        """

    @abc.abstractmethod
    def fetch(self, name: str, folder: Path) -> Path:
        """Copies a file or a tree into a local folder, whole or not at all.

        Returns:
            Its path there, which must not have been taken by a folder.

        Raises:
            FileNotFoundError: if it is not there.
            StoreError: if it can't be read, or would leave the folder.
        """

    @abc.abstractmethod
    def put(self, path: Path, name: str) -> None:
        """Copies a local file or tree to this name.

        Of a tree, each file is whole or not at all, and other files that are there stay.

        Raises:
            FileNotFoundError: if there is no such local file or folder.
            StoreError: if it can't be written.
        """

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Removes a file, or a folder with all that is in it; what is not there is no error."""


def checked(*names: str) -> str:
    """Joins names to one relative path.

    Raises:
        StoreError: if one of them would lead out of the store, or nowhere.
    """
    parts = [part for name in names for part in name.split("/")]
    if not parts or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise StoreError(
            f"'{'/'.join(names)}' is no name in a store: it must be a relative path without empty "
            "parts, '.' or '..'"
        )
    return "/".join(parts)
