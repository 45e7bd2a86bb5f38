"""The object store, as a folder: what v2/objectstore/object_store.go and config.go do to it."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

_ADDRESS = re.compile(r"(minio|s3|gs)://([^/?]+)/(.+)")
_MOUNTS = {"minio": "minio", "s3": "s3", "gs": "gcs"}


def local_path(uri: str) -> str:
    """Returns where the launcher puts an artifact in a pod (launcher_v2.go, LocalPathForURI).

    Raises:
        ValueError: for another scheme than minio, s3 and gs.
    """
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        raise ValueError(f"failed to generate local path for URI {uri}: unsupported storage scheme")
    return f"/{_MOUNTS[match[1]]}/{match[2]}/{match[3]}"


@dataclass(frozen=True)
class ObjectStore:
    """Objects by address. It knows no folders: an empty one is gone after an upload."""

    folder: Path

    def path(self, uri: str) -> Path:
        """Returns the file of an object, or the folder of those below an address."""
        return self.folder / local_path(uri).removeprefix("/")

    def upload(self, local: Path, uri: str) -> None:
        """Copies a file, or the files below a folder (UploadBlob).

        Raises:
            FileNotFoundError: if nothing lies there.
        """
        if not local.exists():
            raise FileNotFoundError(local)
        _copy_files(local, self.path(uri))

    def download(self, uri: str, local: Path) -> None:
        """Copies what lies at or below an address, if anything does (DownloadBlob)."""
        if self.path(uri).exists():
            _copy_files(self.path(uri), local)


def _copy_files(source: Path, target: Path) -> None:
    files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
    for file in files:
        copy = target / file.relative_to(source) if file != source else target
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
