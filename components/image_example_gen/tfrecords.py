"""Reads TFRecords of tf.Examples that somebody else wrote."""

import gzip
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import google_crc32c
import tensorflow as tf

from components.errors import DataError
from components.image_example_gen.config import FieldNames
from components.image_example_gen.source import Item, free_name
from components.store import is_remote, open_store

# A record: length (uint64), its masked CRC, the payload, the payload's masked CRC.
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_GZIP_MAGIC = b"\x1f\x8b"


class MalformedRecordError(Exception):
    """A record isn't a tf.Example with the features that are asked for."""


@dataclass(frozen=True)
class Record:
    """What a tf.Example says.

    Attributes:
      image: bytes of the image file.
      label: class name, or class index in digits.
      split: official split as it is written; empty where there is none.
      group: empty where there is none.
      extra: every other feature as it is, by its name in the output.
    """

    image: bytes
    label: str
    split: str
    group: str
    extra: Mapping[str, tf.train.Feature]


def list_records(shard: Item, scratch: str) -> Iterator[Item]:
    """Yields an item for each record of a shard, without reading payloads.

    Args:
      shard: the file; if it is gzipped, a copy is unpacked, as records are read out of order. So
        one that lies in a bucket is copied.
      scratch: local folder for the copies.

    Raises:
      DataError: if the file isn't made of TFRecords, or is cut off.
    """
    path = _unpacked(shard, scratch)
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        offset = number = 0
        while offset < size:
            header = file.read(_HEADER.size)
            length = _payload_length(header)
            end = offset + _HEADER.size + (length or 0) + _FOOTER.size
            if length is None or end > size:
                raise DataError(
                    f"{shard.id} isn't a sound TFRecord file: record {number} is damaged or cut "
                    "off (files may be plain or gzipped)"
                )
            yield replace(
                shard,
                id=f"{shard.id}#{number:06d}",
                path=path,
                offset=offset + _HEADER.size,
                length=length,
            )
            offset, number = end, number + 1
            file.seek(offset)


def read_payload(item: Item) -> bytes:
    """Reads the payload of a record.

    Raises:
      MalformedRecordError: if its checksum is wrong.
    """
    with open(item.path, "rb") as file:
        file.seek(item.offset)
        payload = file.read(item.length)
        footer = file.read(_FOOTER.size)
    if len(footer) < _FOOTER.size or _FOOTER.unpack(footer)[0] != _masked_crc(payload):
        raise MalformedRecordError("checksum of the record is wrong")
    return payload


def parse(payload: bytes, fields: FieldNames) -> Record:
    """Takes a serialized tf.Example apart.

    Raises:
      MalformedRecordError: if it isn't one, or lacks a feature; names those present.
    """
    found = _features(payload)
    split = fields.split or ("split" if "split" in found else None)
    group = fields.group or ("group" if "group" in found else None)
    taken = {fields.image, fields.label, split, group}
    return Record(
        image=_image(found, fields.image),
        label=_text(found, fields.label),
        split=_text(found, split) if split else "",
        group=_text(found, group) if group else "",
        extra={free_name(name): value for name, value in found.items() if name not in taken},
    )


def parse_image(payload: bytes, name: str) -> bytes:
    """Returns the image file in a serialized tf.Example, whatever else that holds.

    Args:
      payload: of the record.
      name: of the feature.

    Raises:
      MalformedRecordError: if it isn't an example, or lacks the feature; names those present.
    """
    return _image(_features(payload), name)


def _features(payload: bytes) -> dict[str, tf.train.Feature]:
    try:
        return dict(tf.train.Example.FromString(payload).features.feature)
    except Exception as error:  # DecodeError's place differs between protobuf's backends.
        raise MalformedRecordError(f"the record isn't an example: {error}") from None


def _image(found: Mapping[str, tf.train.Feature], name: str) -> bytes:
    image = found.get(name)
    if image is None or not image.bytes_list.value:
        raise MalformedRecordError(f"no bytes in feature '{name}'; it has {_names(found)}")
    return image.bytes_list.value[0]


def _text(found: Mapping[str, tf.train.Feature], name: str) -> str:
    """Returns the first value of a bytes or int64 feature as text."""
    feature = found.get(name, tf.train.Feature())
    if feature.int64_list.value:
        return str(feature.int64_list.value[0])
    if feature.bytes_list.value:
        return feature.bytes_list.value[0].decode("utf-8", "backslashreplace")
    raise MalformedRecordError(f"no bytes or int64 in feature '{name}'; it has {_names(found)}")


def _names(found: Mapping[str, tf.train.Feature]) -> str:
    return ", ".join(sorted(found)) or "no features"


def _unpacked(shard: Item, scratch: str) -> str:
    path = _copied(shard, scratch) if is_remote(shard.path) else shard.path
    with open(path, "rb") as file:
        if file.read(2) != _GZIP_MAGIC:
            return path
    target = os.path.join(scratch, shard.id.replace("/", "%2F") + ".unpacked")
    try:
        with gzip.open(path, "rb") as packed, open(target, "wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{shard.id} can't be unpacked: {error}") from None
    return target


def _copied(shard: Item, scratch: str) -> str:
    folder, name = os.path.split(shard.path)
    target = Path(scratch, "shards", shard.id.replace("/", "%2F"))
    return str(open_store(folder).fetch(name, target))


def _payload_length(header: bytes) -> int | None:
    if len(header) < _HEADER.size:
        return None
    length, crc = _HEADER.unpack(header)
    return length if crc == _masked_crc(header[:8]) else None


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
