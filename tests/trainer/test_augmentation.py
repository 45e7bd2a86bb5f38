import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.settings import OFF
from trainer.augmentation import Augmenter, augment
from trainer.config import AugmentationConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3)).astype(np.uint8)
SEEDS = np.stack([np.arange(4), np.zeros(4)], 1).astype(np.int64)


def test_without_changes_images_stay():
    result = augment(IMAGES, SEEDS, AugmentationConfig(**OFF))
    np.testing.assert_allclose(result, IMAGES, atol=1e-3)


def test_a_flip_mirrors_some_images():
    result = augment(IMAGES, SEEDS, AugmentationConfig(**{**OFF, "horizontal_flip": True}))
    mirrored = [np.allclose(a, b[:, ::-1], atol=1e-2) for a, b in zip(result, IMAGES, strict=True)]
    same = [np.allclose(a, b, atol=1e-2) for a, b in zip(result, IMAGES, strict=True)]
    assert any(mirrored)
    assert any(same)
    assert np.logical_xor(mirrored, same).all()


def test_an_image_changes_by_its_own_seed_alone():
    config = AugmentationConfig(rotation=20)
    all_at_once = augment(IMAGES, SEEDS, config)
    assert all_at_once.dtype == tf.float32
    assert 0 <= tf.reduce_min(all_at_once) <= tf.reduce_max(all_at_once) <= 255
    compiled = tf.function(lambda images, seeds: augment(images, seeds, config))
    for number in (3, 1):
        alone = compiled(IMAGES[number : number + 1], SEEDS[number : number + 1])
        np.testing.assert_allclose(alone[0], all_at_once[number], atol=1e-3)
    others = augment(IMAGES, SEEDS + np.array([0, 1]), config)
    assert np.abs(others - all_at_once).mean() > 5


@pytest.mark.parametrize("settings", [{"rand_augment": 2}, {"erasing": 1.0}])
def test_keras_layers_change_an_image_by_its_own_seed_alone(settings):
    change = Augmenter(AugmentationConfig(**OFF, **settings))
    targets = np.eye(4, dtype=np.float32)
    together, same = change(IMAGES, targets, SEEDS)
    np.testing.assert_array_equal(same, targets)
    alone, _ = change(IMAGES[2:3], targets[2:3], SEEDS[2:3])
    np.testing.assert_allclose(alone[0], together[2], atol=1e-3)
    assert (np.abs(together - IMAGES).max(axis=(1, 2, 3)) > 1).any()
    assert 0 <= tf.reduce_min(together) <= tf.reduce_max(together) <= 255
    others, _ = change(IMAGES, targets, SEEDS + np.array([0, 1]))
    assert np.abs(others - together).mean() > 1


@pytest.mark.parametrize("settings", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_what_is_mixed_is_told_by_the_targets(settings):
    """Images of one grey each: the mean of a mixture tells the shares."""
    change = Augmenter(AugmentationConfig(**OFF, **settings))
    greys = np.array([0.0, 80.0, 160.0, 240.0])
    images = np.ones((4, 24, 24, 3)) * greys[:, None, None, None]
    mixed, targets = change(images, np.eye(4, dtype=np.float32), SEEDS)
    np.testing.assert_allclose(np.sum(targets, axis=1), 1, rtol=1e-5)
    assert np.max(targets, axis=1).min() < 0.99
    means = np.mean(mixed, axis=(1, 2, 3))
    # A pasted rectangle has whole pixels.
    np.testing.assert_allclose(
        means, np.array(targets) @ greys, atol=25 if "cutmix" in settings else 0.1
    )


def test_neighbouring_seeds_draw_other_numbers():
    """Keras counts seeds up: the next view must not repeat this one's second draw."""
    change = Augmenter(AugmentationConfig(**OFF, erasing=1.0))
    targets = np.eye(4, dtype=np.float32)
    views = [change(IMAGES, targets, SEEDS + np.array([0, view]))[0] for view in (0, 1, 4 << 32)]
    for one, other in itertools.combinations(views, 2):
        assert np.abs(one - other).max() > 1
