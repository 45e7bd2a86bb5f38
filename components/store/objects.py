"""Stores in a bucket: S3 by s3fs, GCS by gcsfs, which also retry.

An object is there whole or not at all, and can be written on condition of what is there: If-Match
and If-None-Match on S3, ifGenerationMatch on GCS. Not every server that speaks S3 minds these
headers; one that doesn't would silently lose changes, so each bucket is tried before the first
conditional write.
"""

import abc
import contextlib
import datetime
import errno
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from components.store.base import (
    MAX_TEXT_BYTES,
    ConflictError,
    FileFacts,
    Stamped,
    Store,
    StoreError,
    checked,
)
from components.store.local import arriving, decoded, files_in

_MINDFUL: set[tuple[Any, str]] = set()  # buckets that were tried by this process


class ObjectStore(Store):
    """What is the same for all buckets."""

    scheme: str
    credentials: str  # where they are looked for
    wrong_token: str  # of no object
    conditions: str  # what a conditional write is asked for by

    def __init__(self, files: Any, bucket: str, prefix: str) -> None:
        super().__init__(f"{self.scheme}://{'/'.join(filter(None, (bucket, prefix)))}")
        self._files, self._bucket, self._prefix = files, bucket, prefix
        self._folder = "/".join(filter(None, (bucket, prefix)))

    def child(self, *names: str) -> Self:
        """Returns the store of a prefix below this one."""
        return type(self)(self._files, self._bucket, self._key(checked(*names)))

    def exists(self, name: str) -> bool:
        """Tells whether there is an object of this name, or one below it."""
        with self._told():
            return bool(self._files.exists(self._path(name)))

    def names(self) -> list[str]:
        """Returns the names right below."""
        with self._told():
            try:
                found = self._files.ls(self._folder, detail=False)
            except FileNotFoundError:
                return []
        below = (path.rstrip("/").removeprefix(f"{self._folder}/") for path in found)
        return sorted({name for name in below if name and "/" not in name})

    def walk(self) -> list[FileFacts]:
        """Returns every object below; what some tools make to show a folder is none."""
        with self._told():
            found = self._files.find(self._folder, detail=True)
        return [
            FileFacts(path.removeprefix(f"{self._folder}/"), facts["size"], self._changed(facts))
            for path, facts in sorted(found.items())
            if path != self._folder and facts["type"] == "file" and not path.endswith("/")
        ]

    def size(self, name: str) -> int:
        """Returns the size of an object."""
        with self._told(FileNotFoundError, PermissionError):
            return self._facts(name)["size"]

    def read_bytes(self, name: str) -> bytes:
        """Returns what is in an object."""
        with self._told(FileNotFoundError, PermissionError):
            return self._files.cat_file(self._path(name))

    def read_stamped(self, name: str) -> Stamped | None:
        """Returns an object's text; its token is the ETag, or the generation.

        The token is read before the text: where another writer comes between the two, it is the
        older one, by which nothing is overwritten.
        """
        with self._told():
            try:
                facts = self._facts(name)
                if facts["size"] > MAX_TEXT_BYTES:
                    raise StoreError(f"'{self.address}/{name}' has {facts['size']} bytes, too many")
                contents = self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        return Stamped(decoded(contents, f"{self.address}/{name}"), self._token(facts))

    def write_text(self, name: str, text: str) -> None:
        """Writes an object."""
        with self._told():
            self._files.pipe_file(self._path(name), text.encode("utf-8"))

    def replace_text(self, name: str, text: str, expected: str | None) -> None:
        """Writes an object on condition of what is there."""
        with self._told():
            self._check_conditions()
            if self._write_if(self._key(name), text.encode("utf-8"), expected):
                return
            # An answer that was lost is asked for again, and then finds what it has written.
            found = self.read_stamped(name)
            if found is None or found.text != text:
                raise ConflictError(
                    f"'{self.address}/{name}' was changed by another process meanwhile"
                )

    def fetch(self, name: str, folder: Path) -> Path:
        """Downloads an object, or all that is below a prefix."""
        source = self._path(name)
        target = folder / source.rpartition("/")[2]
        with self._told():
            found = self._files.find(source)
        if not found:
            raise FileNotFoundError(f"there is no '{self.address}/{name}'")
        with self._told(), arriving(target) as staging:
            places = [staging / _below(path, source) for path in found]
            for place in places:
                place.parent.mkdir(parents=True, exist_ok=True)
            self._files.get(found, [str(place) for place in places])
        return target

    def put(self, path: Path, name: str) -> None:
        """Uploads a file or a tree."""
        target = self._path(name)
        files = files_in(path)
        with self._told():
            self._files.put(
                [str(file) for file, _ in files],
                [f"{target}/{relative}" if relative else target for _, relative in files],
            )

    def remove(self, name: str) -> None:
        """Removes an object, and all that is below it."""
        with self._told():
            for path in self._files.find(self._path(name)):
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm_file(path)

    def _key(self, name: str) -> str:
        return "/".join(filter(None, (self._prefix, checked(name))))

    def _path(self, name: str) -> str:
        return f"{self._bucket}/{self._key(name)}"

    def _check_conditions(self) -> None:
        """Finds out once whether this bucket minds conditions.

        Raises:
            StoreError: if it does not.
        """
        if not self._minds_conditions():
            raise StoreError(
                f"the server of '{self.address}' does not mind conditions of a write "
                f"({self.conditions}), so two writers would undo each other's work: use a store "
                "that does, or a folder on a volume"
            )

    def _minds_conditions(self) -> bool:
        place = self._files, self._bucket
        if place not in _MINDFUL:
            key = "/".join(filter(None, (self._prefix, f".conditions-{uuid.uuid4().hex}")))
            tokens = (None, None, self.wrong_token)
            try:
                met = [self._write_if(key, b"probe", token) for token in tokens]
            except OSError as error:
                if error.errno != errno.ENOSYS:
                    raise
                return False  # Some say so, as OpenStack Swift does.
            finally:
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm_file(f"{self._bucket}/{key}")
            if met != [True, False, False]:
                return False
            _MINDFUL.add(place)
        return True

    @contextlib.contextmanager
    def _told(self, *passed: type[OSError]) -> Iterator[None]:
        """Tells what the SDKs raise, which have no class in common, in words."""
        known: tuple[type[Exception], ...] = (StoreError, ConflictError, *passed)
        try:
            yield
        except known:
            raise
        except Exception as error:
            text = " ".join(str(error).split())[:500] or type(error).__name__
            raise StoreError(
                f"'{self.address}' can't be used ({text}): see that the bucket is there, that the "
                f"credentials ({self.credentials}) may read and write it, and that the endpoint "
                "is right"
            ) from error

    @abc.abstractmethod
    def _facts(self, name: str) -> dict[str, Any]:
        """Returns size and token of an object; raises FileNotFoundError."""

    @abc.abstractmethod
    def _token(self, facts: dict[str, Any]) -> str:
        """Returns what changes whenever an object does."""

    @abc.abstractmethod
    def _changed(self, facts: dict[str, Any]) -> int:
        """Returns when an object was written, in nanoseconds since the epoch."""

    @abc.abstractmethod
    def _write_if(self, key: str, contents: bytes, expected: str | None) -> bool:
        """Writes on condition; tells whether the condition was met."""


class S3Store(ObjectStore):
    """A prefix of a bucket that speaks S3: AWS, MinIO and others."""

    scheme = "s3"
    credentials = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the pod's role"
    conditions = "If-Match, If-None-Match"
    wrong_token = f'"{"0" * 32}"'

    def _facts(self, name: str) -> dict[str, Any]:
        return self._files.info(self._path(name), refresh=True)

    def _token(self, facts: dict[str, Any]) -> str:
        return facts["ETag"]

    def _changed(self, facts: dict[str, Any]) -> int:
        return _nanoseconds(facts["LastModified"])

    def _write_if(self, key: str, contents: bytes, expected: str | None) -> bool:
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        try:
            self._files.call_s3(
                "put_object", Bucket=self._bucket, Key=key, Body=contents, **condition
            )
        except OSError as error:
            # s3fs makes several things of these answers; the SDK's own stands behind them.
            code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
            if code in ("PreconditionFailed", "412", "ConditionalRequestConflict", "NoSuchKey"):
                return False
            raise
        return True


class GcsStore(ObjectStore):
    """A prefix of a bucket on Google Cloud Storage."""

    scheme = "gs"
    credentials = "GOOGLE_APPLICATION_CREDENTIALS, gcloud's default, or the pod's service account"
    conditions = "ifGenerationMatch"
    wrong_token = "1"

    def _facts(self, name: str) -> dict[str, Any]:
        return self._files.info(self._path(name))

    def _token(self, facts: dict[str, Any]) -> str:
        return str(facts["generation"])

    def _changed(self, facts: dict[str, Any]) -> int:
        return _nanoseconds(datetime.datetime.fromisoformat(facts["updated"]))

    def _write_if(self, key: str, contents: bytes, expected: str | None) -> bool:
        # gcsfs itself knows only the condition that nothing be there.
        upload = self._files.base.replace("/storage/", "/upload/storage/")
        try:
            self._files.call(
                "POST",
                f"{upload}b/{quote(self._bucket)}/o",
                uploadType="media",
                name=key,
                ifGenerationMatch=expected or "0",
                headers={"Content-Type": "text/plain; charset=utf-8"},
                data=contents,
                json_out=True,
            )
        except FileExistsError:
            return False
        return True


def _nanoseconds(time: datetime.datetime) -> int:
    """Exactly: a float of seconds has not enough digits."""
    since = time - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return since // datetime.timedelta(microseconds=1) * 1000


def _below(path: str, source: str) -> str:
    """Keys may hold any path, also one that leads out of the folder they are copied to."""
    return "" if path == source else checked(path.removeprefix(f"{source}/"))
