"""Reads transformed examples, in bounded memory whatever the number of images."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from components import features
from components.errors import DataError

# Shards and batches; more would take memory, and what comes after takes far longer than reading.
_AT_ONCE = 2
_LABEL_SPEC = {
    features.LABEL_ID: tf.io.FixedLenFeature([], tf.int64),
    features.ID: tf.io.FixedLenFeature([], tf.string),
}
_PIXELS_SPEC = {features.PIXELS: tf.io.FixedLenFeature([], tf.string)}


@dataclass(frozen=True)
class ExampleIndex:
    """What is known of a split's examples without their pixels.

    Rows are in the order of the images' ids, not of the shards: which worker wrote which shard
    first must not change the model.

    Attributes:
        files: the shards, TFRecords.
        rows: int64 [images], the row of each example in order of reading.
        labels: int64 [images], class index by row.
        ids: bytes [images], UTF-8, by row: growing.
        image_keys: int64 [images], non-negative, drawn from the id, by row: what an image's
            random changes are seeded with.
        image_size: height and width of the images in pixels.
    """

    files: tuple[str, ...]
    rows: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    image_keys: np.ndarray
    image_size: int

    def __len__(self) -> int:
        return len(self.rows)


def index_examples(patterns: Sequence[str], split: str) -> ExampleIndex:
    """Reads ids and labels of a split's transformed examples.

    Args:
        patterns: of the shards' file names.
        split: its name, for the error.

    Raises:
        DataError: there are no examples.
    """
    files = tuple(sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern)))
    dataset = _records(files).batch(1024).map(lambda batch: tf.io.parse_example(batch, _LABEL_SPEC))
    batches = [(batch[features.LABEL_ID].numpy(), batch[features.ID].numpy()) for batch in dataset]
    if not batches:
        raise DataError(f"the {split} split has no images: give it a larger share, or more images")
    labels = np.concatenate([labels for labels, _ in batches])
    ids = np.concatenate([ids for _, ids in batches])
    order = np.argsort(ids, kind="stable")
    rows = np.empty(len(order), np.int64)
    rows[order] = np.arange(len(order))
    keys = np.array([_image_key(image_id) for image_id in ids[order]], np.int64)
    return ExampleIndex(files, rows, labels[order], ids[order], keys, _image_size(files))


def read_pixels(index: ExampleIndex, batch_size: int) -> tf.data.Dataset:
    """Reads a split's images in the order of its shards.

    Returns:
        Batches of uint8 [batch, size, size, 3] in [0, 255]; the last may be smaller.
    """
    return _pixels(_records(index.files), index, batch_size)


def read_some(
    index: ExampleIndex, rows: np.ndarray, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reads some of a split's images in the order of its shards; the others are not decoded.

    Args:
        index: the split.
        rows: int64 [some], each once, in any order.
        batch_size: images at a time.

    Yields:
        Rows int64 [batch], and their images uint8 [batch, size, size, 3] in [0, 255].
    """
    wanted = np.isin(index.rows, rows)
    chosen = _records(index.files).enumerate().filter(lambda number, _: tf.gather(wanted, number))
    records = chosen.take(len(rows)).map(lambda _, record: record)
    found, start = index.rows[wanted], 0
    for pixels in _pixels(records, index, batch_size).as_numpy_iterator():
        yield found[start : start + len(pixels)], pixels
        start += len(pixels)


def _pixels(records: tf.data.Dataset, index: ExampleIndex, batch_size: int) -> tf.data.Dataset:
    def parse(batch: tf.Tensor) -> tf.Tensor:
        raw = tf.io.parse_example(batch, _PIXELS_SPEC)[features.PIXELS]
        size = index.image_size
        return tf.reshape(tf.io.decode_raw(raw, tf.uint8), [-1, size, size, 3])

    return records.batch(batch_size).map(parse, num_parallel_calls=_AT_ONCE).prefetch(1)


def _records(files: Sequence[str]) -> tf.data.Dataset:
    if len(files) == 1:
        return tf.data.TFRecordDataset(list(files))  # nothing to read beside it
    # In an order that depends on the files alone: rows are told apart by it.
    return tf.data.Dataset.from_tensor_slices(tf.constant(files, tf.string)).interleave(
        tf.data.TFRecordDataset,
        cycle_length=_AT_ONCE,
        num_parallel_calls=_AT_ONCE,
        deterministic=True,
    )


def _image_size(files: Sequence[str]) -> int:
    """All images of a transformed split have one size; the first tells it."""
    (example,) = _records(files).take(1)
    pixels = tf.io.parse_single_example(example, _PIXELS_SPEC)[features.PIXELS]
    return math.isqrt(int(tf.strings.length(pixels)) // 3)


def _image_key(image_id: bytes) -> int:
    return int.from_bytes(hashlib.sha256(image_id).digest()[:8], "big") >> 1
