"""What a frozen part of the network computes, computed once.

While the lower part of a network does not train, its activations for an image never change. They
are computed once for each image and each of its augmented views, and what trains above reads
them instead of images. Without cached views, the lower part runs in every step on new ones.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf

from components import run_events
from trainer.array_store import ArrayStore
from trainer.augmentation import Augmenter
from trainer.config import AugmentationConfig, CacheConfig
from trainer.input_pipeline import ExampleIndex, read_pixels
from trainer.preprocessing import to_size
from trainer.steps import forward

_PROGRESS_SECONDS = 2.0
# Views are counted from the image itself, which is view 0.
FIRST_RANDOM_VIEW = 1


class FrozenPart:
    """A part of the network in inference, compiled once for batches of any size.

    Attributes:
        model: the part.
    """

    def __init__(self, model: keras.Model) -> None:
        """Compiles a part; its weights may change between calls."""
        self.model = model
        self._compute = forward(model)

    def __call__(self, inputs: Any) -> Any:
        """Computes float32 activations of inputs of any number type.

        Images of another size than a part that begins at the pixels takes are resized.
        """
        shape = self.model.input.shape
        if inputs.shape[1:] != shape[1:]:
            inputs = to_size(inputs, shape[1])
        return self._compute(inputs)


class Batch(NamedTuple):
    """What a step trains on or judges by.

    Attributes:
        inputs: activations [rows, ...], any number type.
        targets: float32 [rows, classes], the classes' shares in each image.
    """

    inputs: Any
    targets: Any


class Activations(Protocol):
    """The activations at one cut of the network, for every image of a split.

    Attributes:
        labels: int64 [images].
        row_bytes: what to read an image takes in memory, or about that.
    """

    labels: np.ndarray
    row_bytes: int

    def read(self, rows: np.ndarray, epoch: int) -> Batch:
        """Returns one view of each image; which one, epochs decide."""


class CachedActivations:
    """Activations [views, images, ...] that were computed beforehand."""

    def __init__(
        self,
        values: ArrayStore,
        targets: np.ndarray,
        labels: np.ndarray,
        config: CacheConfig,
        batch_size: int,
    ) -> None:
        """Takes what was computed, and how to cache and compute what lies at higher cuts.

        Args:
            values: [views, images, ...].
            targets: float32 [views or 1, images, classes].
            labels: int64 [images].
            config: where results are kept, and how exactly.
            batch_size: images at a time.
        """
        self.labels = labels
        self.row_bytes = math.prod(values.shape[2:]) * values.dtype.itemsize
        self._values = values
        self._targets = targets
        self._config = config
        self._batch_size = batch_size

    def read(self, rows: np.ndarray, epoch: int) -> Batch:
        """Returns the rows; an image's views take turns with the epochs."""
        views = (rows + epoch) % self._values.shape[0]
        return Batch(self._values[views, rows], self._targets[views % len(self._targets), rows])

    def unaugmented(self, rows: np.ndarray) -> np.ndarray:
        """Returns the activations [rows, ...] of the images themselves."""
        return self._values[0, rows]

    def through(self, part: FrozenPart) -> "CachedActivations":
        """Runs a part of the network, from this cut to a higher one, once over all views."""
        views, images = self._values.shape[:2]
        values = _store((views, images, *part.model.output.shape[1:]), self._config)
        for view in range(views):
            for start in range(0, images, self._batch_size):
                batch = slice(start, start + self._batch_size)
                values[view, batch] = part(self._values[view, batch])
        return CachedActivations(values, self._targets, self.labels, self._config, self._batch_size)


class FreshActivations:
    """Activations of new random views in every epoch: only the images are kept."""

    def __init__(
        self,
        pixels: ArrayStore,
        index: ExampleIndex,
        classes: int,
        part: FrozenPart,
        augmentation: AugmentationConfig,
        seed: int,
    ) -> None:
        """Takes images uint8 [images, size, size, 3] and the part from pixels to the cut."""
        self.labels = index.labels
        self.row_bytes = math.prod(pixels.shape[1:]) * np.dtype(np.float32).itemsize
        self._targets = one_hot(index.labels, classes)
        self._pixels = pixels
        self._index = index
        self._part = part
        self._seed = seed
        self._augment = Augmenter(augmentation)

    def read(self, rows: np.ndarray, epoch: int) -> Batch:
        """Returns the epoch's views of the rows."""
        seeds = view_seeds(self._index, rows, self._seed, FIRST_RANDOM_VIEW + epoch)
        images, targets = self._augment(self._pixels[rows], self._targets[rows], seeds)
        return Batch(self._part(images), targets)


def compute_activations(
    index: ExampleIndex,
    classes: int,
    lower: FrozenPart,
    config: CacheConfig,
    batch_size: int,
    augmentation: AugmentationConfig | None = None,
    seed: int = 0,
) -> CachedActivations:
    """Runs the frozen part once over each view of each image.

    Args:
        index: the split.
        classes: number of classes.
        lower: from pixels to the cut.
        config: where results are kept, and how exactly.
        batch_size: images at a time.
        augmentation: how many views of each image, and how the others differ from the first,
            which is the image itself; None: that one alone.
        seed: of the other views, together with the image's id.

    Returns:
        The activations at the cut.

    Raises:
        OSError: the cache does not fit on the disk.
    """
    augmentation = augmentation or AugmentationConfig(views=1)
    views = augmentation.views or 1
    values = _store((views, len(index), *lower.model.output.shape[1:]), config)
    targets = one_hot(index.labels, classes)[np.newaxis]
    if augmentation.mixes:
        targets = targets.repeat(views, axis=0)
    report = _progress_reporter(views * len(index))
    augment = Augmenter(augmentation)
    start = 0
    for pixels in read_pixels(index, batch_size):
        rows = index.rows[start : start + len(pixels)]
        start += len(pixels)
        for view in range(views):
            images = pixels
            if view >= FIRST_RANDOM_VIEW:
                seeds = view_seeds(index, rows, seed, view)
                images, mixed = augment(pixels, targets[0, rows], seeds)
                targets[view % len(targets), rows] = mixed
            values[view, rows] = lower(images)
            report(len(rows))
    return CachedActivations(values, targets, index.labels, config, batch_size)


def load_pixels(index: ExampleIndex, config: CacheConfig, batch_size: int) -> ArrayStore:
    """Reads a split's images into one array, uint8 [images, size, size, 3].

    Raises:
        OSError: the array does not fit on the disk.
    """
    shape = (len(index), index.image_size, index.image_size, 3)
    values = ArrayStore(shape, np.uint8, config.memory_mb)
    start = 0
    for pixels in read_pixels(index, batch_size):
        values[index.rows[start : start + len(pixels)]] = pixels
        start += len(pixels)
    return values


def _store(shape: tuple[int, ...], config: CacheConfig) -> ArrayStore:
    return ArrayStore(shape, config.dtype, config.memory_mb)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Returns float32 [images, classes] of class indices [images]."""
    return np.eye(classes, dtype=np.float32)[labels]


def view_seeds(index: ExampleIndex, rows: np.ndarray, seed: int, view: int) -> tf.Tensor:
    """Seeds int64 [rows, 2] of random changes, which differ between images, views and seeds."""
    keys = index.image_keys[rows]
    return tf.stack([keys, np.full_like(keys, (seed << 32) + view)], axis=1)


def _progress_reporter(total: int) -> Callable[[int], None]:
    """Returns a function that counts images and records progress every other second."""
    done, reported = 0, 0.0

    def report(count: int) -> None:
        nonlocal done, reported
        done += count
        now = time.monotonic()
        if now - reported >= _PROGRESS_SECONDS or done == total:
            reported = now
            run_events.record("progress", what="activations", done=done, total=total)

    return report
