"""Artifacts as KFP's launcher describes them, and as TFX's executors want them.

The launcher copies artifacts between their addresses and folders that it mounts, and tells only
the addresses. Types and whole numbers get lost on the way: it knows neither TFX's types, nor any
number but a double.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tfx.dsl.io import fileio
from tfx.types.artifact import CUSTOM_PROPERTIES_PREFIX, Artifact

MOUNTS_VARIABLE = "EFFNET_KFP_MOUNTS"
_MOUNTS = {"minio": "minio", "s3": "s3", "gs": "gcs"}


def local_path(uri: str) -> str:
    """Returns where the launcher puts what lies at an address.

    The folders of its mounts lie in the root, or where EFFNET_KFP_MOUNTS says.

    Raises:
        ValueError: for an address of an unknown kind.
    """
    scheme, separator, path = uri.partition("://")
    if not separator:
        return uri
    if scheme not in _MOUNTS:
        raise ValueError(f"artifact '{uri}': its address must begin with one of {list(_MOUNTS)}")
    return os.path.join(os.environ.get(MOUNTS_VARIABLE, "/"), _MOUNTS[scheme], path)


def read_artifact(
    described: Mapping[str, Any], kind: type[Artifact], at_address: bool = False
) -> Artifact:
    """Makes an artifact of a type, with its folder.

    An empty artifact has no folder before: object stores know none.

    Args:
        described: a RuntimeArtifact as JSON.
        kind: TFX's own type of it.
        at_address: whether it is to be read and written in the object store itself.
    """
    artifact = kind()
    if at_address:
        artifact.uri = described["uri"]
    else:
        artifact.uri = described.get("customPath") or local_path(described["uri"])
        Path(artifact.uri).mkdir(parents=True, exist_ok=True)
    for key, value in described.get("metadata", {}).items():
        _set_property(artifact, key, value)
    return artifact


def clear(artifact: Artifact) -> None:
    """Empties an artifact: an attempt that was cut off has left parts of it, as on Vertex AI."""
    if fileio.isdir(artifact.uri) and fileio.listdir(artifact.uri):
        fileio.rmtree(artifact.uri)
        fileio.makedirs(artifact.uri)


def _set_property(artifact: Artifact, key: str, value: Any) -> None:
    known = artifact.artifact_type.properties
    whole = isinstance(value, float) and value.is_integer()
    value = int(value) if whole or isinstance(value, bool) else value
    if key in known:
        setattr(artifact, key, value)
        return
    custom = key.removeprefix(CUSTOM_PROPERTIES_PREFIX)
    key = custom if custom in known else key
    if isinstance(value, str):
        artifact.set_string_custom_property(key, value)
    elif isinstance(value, int):
        artifact.set_int_custom_property(key, value)
    elif isinstance(value, float):
        artifact.set_float_custom_property(key, value)
    else:
        artifact.set_json_value_custom_property(key, _unwrapped(value))


def _unwrapped(value: Mapping[str, Any]) -> Any:
    """Takes off what KFP's metadata [metadata/converter.go], and TFX's, put around a value."""
    struct = value.get("struct", value)
    return struct.get("__value__", struct)


def properties(artifact: Artifact) -> dict[str, Any]:
    """Returns an artifact's properties, a custom one of the same name under a prefix of TFX's.

    Raises:
        TypeError: for a value that the metadata of KFP can't hold.
    """
    record = artifact.mlmd_artifact
    found = dict(_values(record.properties))
    for key, value in _values(record.custom_properties):
        found[CUSTOM_PROPERTIES_PREFIX + key if key in found else key] = value
    return found


def _values(stored: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in stored.items():
        kind = value.WhichOneof("value")
        if kind == "struct_value":
            yield key, json_format.MessageToDict(value.struct_value)
        elif kind in ("int_value", "double_value", "string_value"):
            yield key, getattr(value, kind)
        else:
            raise TypeError(f"property '{key}' can't be handed on: its kind is {kind}")
