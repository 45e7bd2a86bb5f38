"""The two steps that Beam spreads over workers: check images, and write shards of examples.

Beam moves names of work files only. Image bytes are read twice and never shuffled, and whatever
the number of workers, the output is the same.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import tensorflow as tf

from components.image_example_gen import checks, tfrecords
from components.image_example_gen.config import DataConfig
from components.image_example_gen.examples import to_example
from components.image_example_gen.reading import read_bounded
from components.image_example_gen.records import Checked, SetAside
from components.image_example_gen.source import SPLIT_FOLDERS, Item, class_name
from components.image_example_gen.work_files import (
    read_items,
    read_records,
    write_lines,
    write_records,
)
from components.store import MAX_CONNECTIONS, is_remote


def check_items(work: str, result: str, config: DataConfig) -> None:
    """Checks the images that a work file lists and writes a record of each.

    Args:
      work: path of the work file.
      result: path of the file to write.
      config: limits, field names and class names.
    """
    # Reading, decoding and hashing release Python's lock, so threads use every core, also under
    # Beam's runner in one process.
    items = read_items(work)
    with ThreadPoolExecutor(threads_for(items)) as pool:
        write_records(result, pool.map(lambda item: _check(item, config), items))


def write_shard(work: str, shard: str, result: str, config: DataConfig) -> None:
    """Writes the examples of checked images to a TFRecord file, in their order.

    Args:
      work: path of the work file.
      shard: path of the TFRecord file.
      result: path of a file to write the ids of images to that changed since the check.
      config: field names.
    """
    images = [image for image in read_records(work) if isinstance(image, Checked)]
    changed = []
    threads = threads_for([image.item for image in images])
    with ThreadPoolExecutor(threads) as pool, tf.io.TFRecordWriter(shard) as writer:
        examples = pool.map(lambda image: _make_example(image, config), images)
        for image, example in zip(images, examples, strict=True):
            if example is None:
                changed.append(image.item.id)
            else:
                writer.write(example)
    write_lines(result, changed)


def read_item(item: Item, config: DataConfig) -> tuple[Item, bytes, Mapping[str, tf.train.Feature]]:
    """Reads an image; from a record also its label, split, group and further features.

    Raises:
      OSError: if it can't be read.
      StoreError: if the bucket that it lies in can't be used.
      RejectedError: if it is too large, or the record isn't as it should be.
    """
    contents = read_bounded(item, config)
    if item.length < 0:
        return item, contents, {}
    try:
        record = tfrecords.parse(contents, config.fields)
    except tfrecords.MalformedRecordError as error:
        raise checks.RejectedError(checks.MALFORMED_RECORD, str(error)) from None
    label = class_name(record.label, config.class_names)
    if label is None:
        known = len(config.class_names or ())
        detail = f"{record.label!r}; data.class_names has {known} names"
        raise checks.RejectedError(checks.UNKNOWN_LABEL, detail)
    split = record.split.strip().lower()
    if split and split not in SPLIT_FOLDERS:
        detail = f"split {record.split!r} isn't one of {', '.join(SPLIT_FOLDERS)}"
        raise checks.RejectedError(checks.MALFORMED_RECORD, detail)
    found = replace(
        item, label=label, split=SPLIT_FOLDERS.get(split, item.split), group=record.group
    )
    return found, record.image, record.extra


def threads_for(items: Sequence[Item]) -> int:
    """Returns how many threads read items best: a bucket answers late, but many at a time."""
    return MAX_CONNECTIONS if any(is_remote(item.path) for item in items) else _cores()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check(item: Item, config: DataConfig) -> Checked | SetAside:
    try:
        item, contents, _ = read_item(item, config)
        return Checked(item, checks.check_image(contents, config))
    except OSError as error:
        return SetAside(item, checks.UNREADABLE, error.strerror or str(error))
    except checks.RejectedError as error:
        return SetAside(item, error.reason, error.detail)


def _make_example(image: Checked, config: DataConfig) -> bytes | None:
    """Reads an image again; returns its serialized example, or None if it changed."""
    try:
        _, contents, extra = read_item(image.item, config)
    except (OSError, checks.RejectedError):
        return None
    if checks.content_hash(contents) != image.facts.content_hash:
        return None
    return to_example(image, contents, extra).SerializeToString(deterministic=True)
