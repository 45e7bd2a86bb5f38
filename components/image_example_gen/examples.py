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
    texts = {
        **item.extra,
        features.LABEL: item.label,
        features.ID: item.id,
        features.GROUP: item.group,
        features.FORMAT: facts.format,
        features.CONTENT_HASH: facts.content_hash,
    }
    numbers = {
        features.WIDTH: facts.width,
        features.HEIGHT: facts.height,
        features.CHANNELS: facts.channels,
        features.BYTE_SIZE: facts.byte_size,
    }
    example = tf.train.Example()
    feature = example.features.feature
    for name, given in extra.items():
        feature[name].CopyFrom(given)
    for name, text in texts.items():
        feature[name].bytes_list.value.append(text.encode("utf-8"))
    for name, number in numbers.items():
        feature[name].int64_list.value.append(number)
    feature[features.BRIGHTNESS].float_list.value.append(facts.brightness)
    feature[features.IMAGE].bytes_list.value.append(contents)
    return example
