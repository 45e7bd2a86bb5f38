"""From an address to its store."""

import functools
import os
import re
from pathlib import Path
from typing import Any

from components.store.base import Store, StoreError, checked
from components.store.local import LocalStore
from components.store.objects import GcsStore, S3Store

MAX_CONNECTIONS = 32
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_EXTRAS = {"s3": "s3", "gs": "gcs"}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,221}", re.ASCII)


def is_remote(address: str) -> bool:
    """Tells an object store's address (s3://…, gs://…) from a local path."""
    return _SCHEME.match(address) is not None


def open_store(address: str) -> Store:
    """Returns the store at an address; nothing is asked or made there yet.

    Args:
        address: a local path, s3://bucket/prefix or gs://bucket/prefix.

    Raises:
        StoreError: if it is another kind of address, or the package for it is not installed.
    """
    scheme = _SCHEME.match(address)
    if scheme is None:
        return LocalStore(Path(address).expanduser().absolute())
    kind = scheme[1].lower()
    if kind not in _EXTRAS:
        raise StoreError(
            f"'{address}' can't be used: files are read from and written to a local folder, "
            "s3://bucket/... or gs://bucket/..."
        )
    bucket, _, prefix = address[scheme.end() :].rstrip("/").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise StoreError(
            f"'{address.rpartition('@')[2]}' names no bucket: an address is {kind}://bucket/path, "
            "and credentials never stand in it but in the environment"
        )
    prefix = checked(prefix) if prefix else ""
    files = file_system(kind)
    return (S3Store if kind == "s3" else GcsStore)(files, bucket, prefix)


@functools.cache
def _check_installed(kind: str) -> None:
    """Tells how to install what is missing, before anything is asked of it."""
    name = {"s3": "s3fs", "gs": "gcsfs"}[kind]
    try:
        __import__(name)
    except ImportError as error:
        raise StoreError(
            f"addresses of {kind}:// need the package {name}, which can't be imported ({error}): "
            f"pip install 'effnet-tfx[{_EXTRAS[kind]}]'"
        ) from None


def file_system(kind: str) -> Any:
    """Returns fsspec's file system of a kind, s3 or gs, with this project's settings.

    Listings are not kept: other processes write here as well.

    Raises:
        StoreError: if the package for it is not installed.
    """
    import fsspec  # which takes a moment, as the two below take a second

    _check_installed(kind)
    if kind == "s3":
        # As many requests at a time as threads read images.
        options = {"max_pool_connections": MAX_CONNECTIONS}
        return fsspec.filesystem("s3", use_listings_cache=False, config_kwargs=options)
    # Not what fsspec would choose: that one asks by gRPC first what kind of bucket it is.
    from gcsfs.core import GCSFileSystem

    # By itself it would fall back to no credentials at all without a word.
    token = "anon" if os.environ.get("STORAGE_EMULATOR_HOST") else "google_default"
    try:
        return GCSFileSystem(token=token, use_listings_cache=False)
    except Exception as error:
        raise StoreError(f"gs:// can't be used: {error}") from error
