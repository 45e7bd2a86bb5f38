"""Losses, class weights and the order of images."""

import keras
import numpy as np
import pytest

from trainer.config import LossConfig, StageConfig
from trainer.optimization import WeightedLoss, epoch_order, make_optimizer

LABELS = np.array([0] * 6 + [1] * 2)
TARGETS = np.eye(2, dtype=np.float32)[[0, 1]]
LOGITS = np.array([[2.0, 0.0], [2.0, 0.0]], np.float32)  # right, wrong


def losses(**settings) -> np.ndarray:
    return np.array(WeightedLoss(LossConfig(**settings), 0.0, LABELS, 2)(TARGETS, LOGITS))


def test_cross_entropy_and_focal_are_what_their_papers_say():
    right = 1 / (1 + np.exp(-2.0))
    entropy = -np.log([right, 1 - right])
    np.testing.assert_allclose(losses(), entropy, rtol=1e-5)
    focal = (1 - np.array([right, 1 - right])) ** 2 * entropy
    np.testing.assert_allclose(losses(name="focal", gamma=2.0), focal, rtol=1e-4)


def test_balanced_weights_make_classes_count_the_same():
    # 6 and 2 of 8 images: 8 / (2 * 6) and 8 / (2 * 2).
    np.testing.assert_allclose(losses(class_weights="balanced") / losses(), [2 / 3, 2], rtol=1e-5)


def test_an_epoch_holds_every_image_once():
    order = epoch_order(LABELS, LossConfig(), (0, 0, 1))
    np.testing.assert_array_equal(np.sort(order), np.arange(8))
    assert not np.array_equal(order, epoch_order(LABELS, LossConfig(), (0, 0, 2)))


def test_balanced_sampling_draws_classes_as_often():
    labels = np.array([0] * 900 + [2] * 100)  # class 1 has no image
    drawn = labels[epoch_order(labels, LossConfig(sampling="balanced"), (0,))]
    assert len(drawn) == 1000
    assert 430 < (drawn == 2).sum() < 570


@pytest.mark.parametrize("warmup", [0.0, 0.5])
def test_the_rate_warms_up_and_decays_to_nothing(warmup):
    stage = StageConfig(train="head", epochs=1, learning_rate=0.1, warmup=warmup)
    optimizer = make_optimizer(stage, steps=10)
    rates = []
    for step in range(11):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) == 10 * warmup
    assert rates[-1] == pytest.approx(0, abs=1e-6)
    assert isinstance(optimizer, keras.optimizers.AdamW)
