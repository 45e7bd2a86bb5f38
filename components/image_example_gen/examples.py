"""Writes checked images as tf.Examples."""

from collections.abc import Mapping

import tensorflow as tf

from components import features
from components.image_example_gen.records import Checked


def to_example(
    image: Checked, contents: bytes, extra: Mapping[str, tf.train.Feature]
) -> tf.train.Example:
    """Builds the raw example of one image; see `components.features` for what it holds.

    Args:
      image: what is known of it.
      contents: the image file, unchanged.
      extra: further features of the record that it came in.
    """
    item, facts = image.item, image.facts
    known = {
        features.IMAGE: _bytes(contents),
        features.LABEL: _text(item.label),
        features.ID: _text(item.id),
        features.GROUP: _text(item.group),
        features.WIDTH: _int64(facts.width),
        features.HEIGHT: _int64(facts.height),
        features.CHANNELS: _int64(facts.channels),
        features.FORMAT: _text(facts.format),
        features.BYTE_SIZE: _int64(facts.byte_size),
        features.BRIGHTNESS: tf.train.Feature(
            float_list=tf.train.FloatList(value=[facts.brightness])
        ),
        features.CONTENT_HASH: _text(facts.content_hash),
    }
    columns = {name: _text(value) for name, value in item.extra.items()}
    return tf.train.Example(features=tf.train.Features(feature={**extra, **columns, **known}))


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _text(value: str) -> tf.train.Feature:
    return _bytes(value.encode("utf-8"))


def _int64(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
