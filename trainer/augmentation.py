"""Random changes of training images.

By its meaning this step belongs to preprocessing; it can't stand in `preprocessing_fn`, which
also prepares what is validated, tested and served. It is applied to transformed examples of the
train split only, by the trainer, and never becomes part of the exported model.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainer.config import AugmentationConfig

WHITE = 255.0
_SEED_RANGE = 2**31 - 2


class Augmenter:
    """Everything random that happens to training images, by seeds.

    Geometry and tone are changed in one resampling (`augment`), which Keras's layers would do one
    by one, by the batch's order and not by the image. RandAugment, RandomErasing, MixUp and CutMix
    are Keras's layers. All but the last two make of an image the same thing whatever batch it is
    in; those two blend the images of a batch.
    """

    def __init__(self, config: AugmentationConfig) -> None:
        """Compiles the changes for images of any one size."""
        self._config = config
        self._augment = tf.function(
            lambda images, seeds: augment(images, seeds, config), reduce_retracing=True
        )
        layers = _image_layers(config)
        self._by_image = [_by_image(_Seeded(layer, n)) for n, layer in enumerate(layers)]
        self._by_batch = [
            _by_batch(_Seeded(layer, n))
            for n, layer in enumerate(_batch_layers(config), len(layers))
        ]

    def __call__(
        self, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Changes a batch.

        Args:
            images: [batch, height, width, 3] in [0, 255], any number type.
            targets: float32 [batch, classes], the classes' shares in each image.
            seeds: int64 [batch, 2].

        Returns:
            Images, float32, and targets of the same shapes.
        """
        images = self._augment(images, seeds)
        for change in self._by_image:
            images = change(images, seeds)
        if not len(seeds):  # a device's share of the last batch
            return images, targets
        for mix in self._by_batch:
            images, targets = mix(images, targets, seeds[0])
        return images, targets


def _image_layers(config: AugmentationConfig) -> list[keras.Layer]:
    layers: list[keras.Layer] = []
    if config.rand_augment:
        layers.append(
            keras.layers.RandAugment(
                num_ops=config.rand_augment, factor=config.rand_augment_strength, seed=0
            )
        )
    if config.erasing:
        # Its factor is a range that the probability is drawn from.
        probability = (config.erasing, config.erasing)
        layers.append(keras.layers.RandomErasing(probability, value_range=(0, WHITE), seed=0))
    return layers


def _batch_layers(config: AugmentationConfig) -> list[keras.Layer]:
    layers: list[keras.Layer] = []
    if config.mixup:
        layers.append(keras.layers.MixUp(alpha=config.mixup, seed=0))
    if config.cutmix:
        layers.append(keras.layers.CutMix(factor=(0.0, config.cutmix), seed=0))
    return layers


class _Seeded:
    """A random layer of Keras's in a TensorFlow graph, whatever Keras computes by otherwise."""

    def __init__(self, layer: keras.Layer, number: int) -> None:
        """Takes the pipeline's `number`-th layer."""
        self._layer, self._number = layer, number
        layer.backend.set_backend("tensorflow")
        self._generator = layer._get_seed_generator("tensorflow")
        layer.backend.reset()

    def __call__(self, inputs: Any, seed: tf.Tensor) -> Any:
        """Calls the layer with what it draws by this seed, int64 [2].

        Keras counts a seed up with every draw, and takes it modulo 2**31 - 2: neighbouring seeds,
        taken as they are, would draw the same numbers one after the other.
        """
        own = tf.random.experimental.stateless_fold_in(seed, self._number)
        state = tf.random.stateless_uniform([2], own, 0, _SEED_RANGE, tf.int64)
        self._generator.state.assign(state)
        return self._layer(inputs, training=True)


def _by_image(layer: _Seeded) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Applies a layer image by image: in a batch, all would get the same operations."""

    def change(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        # One after the other, since the layer keeps its seed.
        return tf.map_fn(
            lambda pair: layer(pair[0][tf.newaxis], pair[1])[0],
            (images, seeds),
            parallel_iterations=1,
            fn_output_signature=tf.float32,
        )

    return tf.function(change, reduce_retracing=True)


def _by_batch(
    layer: _Seeded,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Applies a layer that blends the images of a batch."""

    def mix(images: tf.Tensor, targets: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        mixed = layer({"images": images, "labels": targets}, seed)
        return mixed["images"], mixed["labels"]

    return tf.function(mix, reduce_retracing=True)


def augment(images: tf.Tensor, seeds: tf.Tensor, config: AugmentationConfig) -> tf.Tensor:
    """Changes each image at random, fully determined by its own seed.

    An image's result depends on neither its batch nor the order of calls. Order of the changes:
    flips, rotation, zoom and translation as one bilinear resampling with the border mirrored,
    then contrast and brightness.

    Args:
        images: [batch, height, width, 3] in [0, 255], any number type.
        seeds: int32 or int64 [batch, 2].
        config: how large the changes may be.

    Returns:
        float32 [batch, height, width, 3] in [0, 255].
    """
    images = tf.cast(images, tf.float32)
    draws = tf.map_fn(
        lambda seed: tf.random.stateless_uniform([8], seed, -1.0, 1.0),
        seeds,
        fn_output_signature=tf.TensorSpec([8], tf.float32),
    )
    flip_x, flip_y, angle, scale, shift_x, shift_y, contrast, brightness = tf.unstack(draws, axis=1)
    transforms = _affine_transforms(
        size=tf.cast(tf.shape(images)[1:3], tf.float32),
        mirror_x=_mirror(flip_x, config.horizontal_flip),
        mirror_y=_mirror(flip_y, config.vertical_flip),
        angle=angle * (config.rotation * math.pi / 180.0),
        scale=1.0 + scale * config.zoom,
        shift_x=shift_x * config.translation,
        shift_y=shift_y * config.translation,
    )
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return _adjust_tone(
        images, 1.0 + contrast * config.contrast, brightness * config.brightness * WHITE
    )


def _mirror(draw: tf.Tensor, enabled: bool) -> tf.Tensor:
    """Signs [batch]: -1 mirrors, every other image on average."""
    return tf.where(draw < 0.0, -1.0, 1.0) if enabled else tf.ones_like(draw)


def _affine_transforms(
    size: tf.Tensor,
    mirror_x: tf.Tensor,
    mirror_y: tf.Tensor,
    angle: tf.Tensor,
    scale: tf.Tensor,
    shift_x: tf.Tensor,
    shift_y: tf.Tensor,
) -> tf.Tensor:
    """Projective transforms [batch, 8] about the centre, from output to input coordinates."""
    centre_y, centre_x = (size[0] - 1.0) / 2.0, (size[1] - 1.0) / 2.0
    a, b = tf.cos(angle) * scale * mirror_x, -tf.sin(angle) * scale * mirror_y
    c, d = tf.sin(angle) * scale * mirror_x, tf.cos(angle) * scale * mirror_y
    offset_x = centre_x - a * centre_x - b * centre_y + shift_x * size[1]
    offset_y = centre_y - c * centre_x - d * centre_y + shift_y * size[0]
    zeros = tf.zeros_like(angle)
    return tf.stack([a, b, offset_x, c, d, offset_y, zeros, zeros], axis=1)


def _adjust_tone(images: tf.Tensor, contrast: tf.Tensor, brightness: tf.Tensor) -> tf.Tensor:
    """Spreads each image's values about their mean, then shifts them."""
    contrast, brightness = (tf.reshape(factor, [-1, 1, 1, 1]) for factor in (contrast, brightness))
    means = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    changed = (images - means) * contrast + means + brightness
    return tf.clip_by_value(changed, 0.0, WHITE)
