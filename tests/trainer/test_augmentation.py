import numpy as np
import tensorflow as tf

from trainer.augmentation import augment
from trainer.config import AugmentationConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3)).astype(np.uint8)
SEEDS = np.stack([np.arange(4), np.zeros(4)], 1).astype(np.int64)
OFF = {
    "horizontal_flip": False,
    "vertical_flip": False,
    "rotation": 0,
    "zoom": 0,
    "translation": 0,
    "contrast": 0,
    "brightness": 0,
}


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
