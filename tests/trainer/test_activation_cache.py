"""What is computed once: the same numbers wherever they are kept, views by turns."""

import keras
import numpy as np
import pytest

from components import features
from tests.trainer.settings import OFF
from trainer.activation_cache import CachedActivations, FrozenPart, compute_activations, one_hot
from trainer.array_store import ArrayStore
from trainer.backbones.build import build_backbone
from trainer.config import AugmentationConfig, CacheConfig
from trainer.input_pipeline import index_examples
from trainer.model import Classifier

SIZE = 32
CLASSES = 3
CACHE = CacheConfig(dtype="float32")


@pytest.fixture
def train(transformed):
    return index_examples([str(transformed.train / "*")], features.TRAIN)


def _classifier() -> Classifier:
    keras.utils.set_random_seed(0)
    return Classifier(build_backbone("efficientnet-lite0", "none", SIZE), CLASSES, dropout=0.0)


def test_a_cache_beyond_its_budget_lies_in_a_file(train):
    lower = FrozenPart(_classifier().lower(2))
    in_memory = compute_activations(train, CLASSES, lower, CACHE, 8)
    no_memory = CACHE.model_copy(update={"memory_mb": 0})
    in_file = compute_activations(train, CLASSES, lower, no_memory, 8)
    assert in_file._values.in_file
    rows = np.array([3, 1])
    np.testing.assert_array_equal(in_memory.read(rows, 0).inputs, in_file.read(rows, 0).inputs)


def test_cached_views_are_augmented_images(train):
    lower = FrozenPart(_classifier().lower(2))
    config = AugmentationConfig(views=2, brightness=0.5)
    first, second = (
        compute_activations(train, CLASSES, lower, CACHE, 8, config, seed=7)
        .read(np.arange(24), epoch)
        .inputs
        for epoch in (0, 1)
    )
    unchanged = compute_activations(train, CLASSES, lower, CACHE, 8).read(np.arange(24), 0).inputs
    # Rows and epochs together choose the view, so that each epoch holds all of them.
    np.testing.assert_array_equal(first[::2], unchanged[::2])
    np.testing.assert_array_equal(second[1::2], unchanged[1::2])
    assert (np.abs(first[1::2] - unchanged[1::2]).max(axis=(1, 2, 3)) > 1e-3).all()


def test_views_take_turns(train):
    values = ArrayStore((3, len(train)), np.float32, memory_mb=1)
    values[:] = np.arange(3)[:, np.newaxis]
    targets = one_hot(train.labels, CLASSES)[np.newaxis]
    activations = CachedActivations(values, targets, train.labels, CACHE, 8)
    seen = {float(activations.read(np.array([5]), epoch).inputs[0]) for epoch in range(3)}
    assert seen == {0.0, 1.0, 2.0}


def test_mixed_views_have_mixed_targets(train):
    lower = FrozenPart(_classifier().lower(0))
    config = AugmentationConfig(**OFF, views=2, mixup=1.0)
    cached = compute_activations(train, CLASSES, lower, CACHE, 8, config)
    rows = np.arange(24)
    plain, mixed = cached.read(rows[::2], 0).targets, cached.read(rows[1::2], 0).targets
    np.testing.assert_array_equal(plain, one_hot(train.labels, CLASSES)[::2])
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)
    assert ((mixed > 0.01) & (mixed < 0.99)).any()
