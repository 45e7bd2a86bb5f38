"""From image file to pixels and from class name to index: Transform's preprocessing function.

What turns a file into pixels here is also inside the exported model, so that serving sees what
training saw. Random changes have no place in this module for the same reason; they are in
`trainer.augmentation`.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components import features
from components.image_ops import decode_image
from trainer.config import TransformConfig

# Decoding is uneven work: several at once keep all cores busy.
_PARALLEL_DECODES = 4


def preprocessing_fn(
    inputs: Mapping[str, Any], custom_config: Mapping[str, Any]
) -> dict[str, tf.Tensor]:
    """Turns a batch of raw examples into pixels and class indices; called by TFX's Transform.

    Args:
        inputs: raw features by name; image, label and id are needed, each a string tensor,
            dense or sparse, [batch] or [batch, 1].
        custom_config: `transform_config`, the JSON of a TransformConfig, and `image_size`, the
            resolution in pixels.

    Returns:
        Tensors [batch]: raw pixels (string of size * size * 3 bytes), class index (int64, -1 for
        a class that the train split has not) and id (string). See `components.features`.
    """
    config = TransformConfig.parse_json(custom_config["transform_config"])
    size = custom_config["image_size"]
    pixels = decode_and_resize(_column(inputs[features.IMAGE]), size, config.resize)
    label_id = tft.compute_and_apply_vocabulary(
        _column(inputs[features.LABEL]),
        default_value=-1,
        vocab_filename=features.VOCABULARY,
    )
    return {
        features.PIXELS: _to_bytes(pixels),
        features.LABEL_ID: label_id,
        features.ID: _column(inputs[features.ID]),
    }


def decode_and_resize(contents: tf.Tensor, size: int, resize: str) -> tf.Tensor:
    """Decodes image files and brings them to one size.

    Args:
        contents: string [batch], whole image files.
        size: height and width of the result in pixels.
        resize: "squash", "crop" or "pad", as in TransformConfig.

    Returns:
        uint8 [batch, size, size, 3] in [0, 255], RGB.

    Raises:
        tf.errors.InvalidArgumentError: a file can't be decoded.
    """
    return tf.map_fn(
        lambda content: resize_image(decode_image(content), size, resize),
        contents,
        parallel_iterations=_PARALLEL_DECODES,
        fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
    )


def resize_image(image: tf.Tensor, size: int, resize: str) -> tf.Tensor:
    """Brings one image to a size, bilinear and antialiased.

    Args:
        image: uint8 [height, width, 3].
        size: height and width of the result in pixels.
        resize: "squash" changes the aspect; "crop" takes the largest centred square; "pad"
            centres the whole image on black.

    Returns:
        uint8 [size, size, 3].
    """
    if resize == "crop":
        image = _centre_square(image)
    if resize == "pad":
        scaled = _resize_and_pad(image, size)
    else:
        scaled = tf.image.resize(image, [size, size], antialias=True)
    return tf.saturate_cast(tf.round(scaled), tf.uint8)


def seen_region(image: tf.Tensor, resize: str) -> tf.Tensor:
    """Tells which part of an image `resize_image` makes its result of.

    Args:
        image: [height, width, 3].
        resize: as there.

    Returns:
        float32 [4]: top, left, bottom and right, as shares of the image's height and width; below
        0 and above 1 where the result is padded.
    """
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    seen = {
        "squash": sides,
        "crop": tf.fill([2], tf.reduce_min(sides)),
        "pad": tf.fill([2], tf.reduce_max(sides)),
    }[resize]
    margin = (sides - seen) / (2 * sides)
    return tf.concat([margin, 1 - margin], axis=0)


def to_size(images: tf.Tensor, size: int) -> tf.Tensor:
    """Brings transformed images to the size that a network takes, where that is another.

    Args:
        images: [batch, height, width, 3], any number type.
        size: height and width of the result in pixels.

    Returns:
        float32 [batch, size, size, 3].
    """
    return tf.image.resize(images, [size, size], antialias=True)


def _centre_square(image: tf.Tensor) -> tf.Tensor:
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    side = tf.minimum(height, width)
    return tf.image.crop_to_bounding_box(
        image, (height - side) // 2, (width - side) // 2, side, side
    )


def _resize_and_pad(image: tf.Tensor, size: int) -> tf.Tensor:
    """Fits the image into a square; tf.image.resize_with_pad fails on a side that rounds to 0."""
    sides = tf.shape(image)[:2]
    longest = tf.reduce_max(sides)
    height, width = tf.unstack(tf.maximum(1, (sides * size + longest // 2) // longest))
    scaled = tf.image.resize(image, [height, width], antialias=True)
    return tf.image.pad_to_bounding_box(
        scaled, (size - height) // 2, (size - width) // 2, size, size
    )


def _column(values: Any) -> tf.Tensor:
    """Flattens a single-valued feature, however the schema has it parsed, to [batch]."""
    if isinstance(values, tf.SparseTensor):
        values = tf.sparse.to_dense(values, default_value="")
    return tf.reshape(values, [-1])


def _to_bytes(pixels: tf.Tensor) -> tf.Tensor:
    """Turns uint8 [batch, size, size, 3] into a string [batch] of the same bytes.

    TensorFlow has no op for it, but a serialised tensor ends with its raw numbers.
    """
    length = pixels.shape[1] * pixels.shape[2] * pixels.shape[3]
    serialized = tf.map_fn(tf.io.serialize_tensor, pixels, fn_output_signature=tf.string)
    return tf.strings.substr(serialized, -length, length)
