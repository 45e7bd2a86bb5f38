from dataclasses import replace

import keras
import numpy as np
import pytest

from components import features
from components.errors import DataError, InputError
from trainer import run
from trainer.activation_cache import (
    CachedActivations,
    FreshActivations,
    FrozenPart,
    compute_activations,
    load_pixels,
)
from trainer.backbones.build import build_backbone
from trainer.config import AugmentationConfig, CacheConfig, StageConfig
from trainer.finetune import finetune, lowest_cut
from trainer.input_pipeline import index_examples
from trainer.model import Classifier

SIZE = 32
CACHE = CacheConfig(dtype="float32")
OFF = {
    "horizontal_flip": False,
    "rotation": 0,
    "zoom": 0,
    "translation": 0,
    "contrast": 0,
    "brightness": 0,
}


@pytest.fixture
def train(transformed):
    return index_examples([str(transformed.train / "*")], features.TRAIN)


@pytest.fixture
def val(transformed):
    return index_examples([str(transformed.val / "*")], features.VAL)


def _classifier(seed: int = 0) -> Classifier:
    keras.utils.set_random_seed(seed)
    return Classifier(build_backbone("efficientnet-lite0", "none", SIZE), 3, dropout=0.0)


def _features(index) -> CachedActivations:
    """Random numbers in place of pooled features."""
    values = np.random.default_rng(0).normal(size=(1, len(index), 1280)).astype(np.float32)
    return CachedActivations(values, index.labels, CACHE, 8)


def _cached(index, classifier, config):
    return compute_activations(index, FrozenPart(classifier.lower(lowest_cut(config))), CACHE, 8)


def test_cached_and_plain_training_agree(train, val, tiny_config):
    augmentation = tiny_config.augmentation.model_copy(update=OFF)
    losses = []
    for cached in (True, False):
        classifier = _classifier()
        if cached:
            activations = _cached(train, classifier, tiny_config)
        else:
            pixels = load_pixels(train, SIZE, CACHE, 8)
            lower = FrozenPart(classifier.lower(lowest_cut(tiny_config)))
            activations = FreshActivations(pixels, train, lower, augmentation, seed=0)
        results = finetune(
            classifier, activations, _cached(val, classifier, tiny_config), tiny_config
        )
        losses.append([epoch.train.loss for result in results for epoch in result.epochs])
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-4)


def test_two_trainings_are_equal(transformed, tiny_config, tmp_path):
    fn_args = transformed.fn_args(tmp_path, tiny_config)
    models = [run.train(fn_args, tiny_config, SIZE).classifier.network for _ in range(2)]
    for first, second in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(first, second)


def test_only_what_a_stage_trains_changes(train, val, tiny_config):
    classifier = _classifier()
    before = {weight.path: weight.numpy() for weight in classifier.network.weights}
    finetune(
        classifier,
        _cached(train, classifier, tiny_config),
        _cached(val, classifier, tiny_config),
        tiny_config,
    )
    changed = {
        weight.path.split("/")[0].split("_")[0]
        for weight in classifier.network.weights
        if not np.array_equal(before[weight.path], weight.numpy())
    }
    assert changed == {"block7a", "top", "logits"}


def test_the_best_epoch_by_val_stays(train, val, tiny_config):
    stage = StageConfig(train="head", epochs=6, learning_rate=1.0, warmup=0.0)
    config = tiny_config.model_copy(update={"stages": (stage,)})
    (result,) = finetune(_classifier(), _features(train), _features(val), config)
    losses = [epoch.val.loss for epoch in result.epochs]
    assert result.best_epoch == int(np.argmin(losses))


def test_a_diverging_stage_is_an_error(train, val, tiny_config):
    stage = StageConfig(train="head", epochs=3, learning_rate=1e38)
    config = tiny_config.model_copy(update={"stages": (stage,)})
    with pytest.raises(InputError, match=r"not finite.*lower its learning_rate"):
        finetune(_classifier(), _features(train), _features(val), config)


def test_a_cache_beyond_its_budget_lies_in_a_file(train):
    lower = FrozenPart(_classifier().lower(2))
    in_memory = compute_activations(train, lower, CACHE, 8)
    in_file = compute_activations(train, lower, CACHE.model_copy(update={"memory_mb": 0}), 8)
    assert isinstance(in_file._values, np.memmap)
    rows = np.array([3, 1])
    np.testing.assert_array_equal(in_memory.read(rows, 0), in_file.read(rows, 0))


def test_cached_views_are_augmented_images(train):
    lower = FrozenPart(_classifier().lower(2))
    config = AugmentationConfig(views=2, brightness=0.5)
    first, second = (
        compute_activations(train, lower, CACHE, 8, config, seed=7).read(np.arange(24), epoch)
        for epoch in (0, 1)
    )
    unchanged = compute_activations(train, lower, CACHE, 8).read(np.arange(24), 0)
    # Rows and epochs together choose the view, so that each epoch holds all of them.
    np.testing.assert_array_equal(first[::2], unchanged[::2])
    np.testing.assert_array_equal(second[1::2], unchanged[1::2])
    assert (np.abs(first[1::2] - unchanged[1::2]).max(axis=(1, 2, 3)) > 1e-3).all()


def test_views_take_turns(train):
    values = np.arange(3)[:, np.newaxis] * np.ones((1, len(train)))
    activations = CachedActivations(values, train.labels, CACHE, 8)
    seen = {float(activations.read(np.array([5]), epoch)[0]) for epoch in range(3)}
    assert seen == {0.0, 1.0, 2.0}


def test_cut_parts_make_the_whole():
    classifier = _classifier()
    pixels = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)
    whole = classifier.network(pixels)
    for blocks in (0, 3, 16):
        parts = classifier.upper(blocks)(classifier.lower(blocks)(pixels))
        np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_labels_that_cannot_be_trained_on(train, val):
    with pytest.raises(DataError, match="one class only"):
        run._check_labels(["hat"], train, val)
    with pytest.raises(DataError, match="without training images: scarf"):
        run._check_labels(["a", "b", "c", "scarf"], train, val)
    unknown = replace(val, labels=np.full_like(val.labels, -1))
    with pytest.raises(DataError, match="6 images of the val split"):
        run._check_labels(["a", "b", "c"], train, unknown)
