"""Stages over activations: the same as plain training, and resumed as if never stopped."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from components import features
from components.errors import ConfigError, DataError, InputError
from tests.trainer.settings import OFF
from trainer import training
from trainer.activation_cache import CachedActivations, FrozenPart, compute_activations, one_hot
from trainer.activation_source import ActivationSource
from trainer.array_store import ArrayStore
from trainer.backbones.build import build_backbone
from trainer.checkpoints import Checkpoint
from trainer.config import (
    AugmentationConfig,
    CacheConfig,
    StageConfig,
    TrainConfig,
)
from trainer.devices import Replicas, make_strategy
from trainer.finetune import finetune
from trainer.hardware_config import HardwareConfig
from trainer.input_pipeline import index_examples
from trainer.model import Classifier
from trainer.results import Reporter, StageResult
from trainer.stage import StageTrainer
from trainer.task import check_labels, read_data

SIZE = 32
CLASSES = 3
CACHE = CacheConfig(dtype="float32")
ONE_DEVICE = Replicas(tf.distribute.get_strategy())
HEAD = StageConfig(train="head", epochs=3, learning_rate=1e-2)


@pytest.fixture
def train(transformed):
    return index_examples([str(transformed.train / "*")], features.TRAIN)


@pytest.fixture
def val(transformed):
    return index_examples([str(transformed.val / "*")], features.VAL)


@pytest.fixture
def data(transformed, tiny_config, tmp_path):
    return read_data(transformed.fn_args(tmp_path, tiny_config))


def _classifier(seed: int = 0) -> Classifier:
    keras.utils.set_random_seed(seed)
    return Classifier(build_backbone("efficientnet-lite0", "none", SIZE), CLASSES, dropout=0.0)


def _features(index) -> CachedActivations:
    """Random numbers in place of pooled features."""
    values = ArrayStore((1, len(index), 1280), np.float32, memory_mb=1)
    values[:] = np.random.default_rng(0).normal(size=values.shape)
    targets = one_hot(index.labels, CLASSES)[np.newaxis]
    return CachedActivations(values, targets, index.labels, CACHE, 8)


def _finetune(classifier, train, val, config) -> list[StageResult]:
    config = config.model_copy(update={"cache": CACHE})
    source = ActivationSource(classifier, train, val, CLASSES, config)
    return list(finetune(classifier, source, config, ONE_DEVICE, Reporter()))


def _head(stage: StageConfig, config: TrainConfig, train, val) -> StageTrainer:
    """A stage over random features, run to its end."""
    config = config.model_copy(update={"stages": (stage,)})
    classifier = _classifier()
    classifier.train_only_above(0)
    features_of = (_features(train), _features(val))
    trainer = StageTrainer(classifier.upper(0), 0, config, *features_of, ONE_DEVICE)
    list(trainer.run())
    return trainer


def _losses(results: list[StageResult]) -> list[float]:
    return [epoch.train.loss for result in results for epoch in result.epochs]


def test_cached_and_plain_training_agree(train, val, tiny_config):
    off = tiny_config.augmentation.model_copy(update=OFF)
    losses = []
    for views in (2, None):
        augmentation = off.model_copy(update={"views": views})
        config = tiny_config.model_copy(update={"augmentation": augmentation})
        losses.append(_losses(_finetune(_classifier(), train, val, config)))
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-4)


def test_a_stage_that_trains_everything_begins_at_the_pixels(train, val, tiny_config):
    everything = StageConfig(train="all", epochs=1, learning_rate=1e-2, augmentation={"mixup": 0.2})
    config = tiny_config.model_copy(
        update={"stages": (HEAD, everything, HEAD), "cache": CACHE, "dropout": 0.0}
    )
    classifier = _classifier()
    before = classifier.network.get_layer("stem_conv").get_weights()
    source = ActivationSource(classifier, train, val, CLASSES, config)
    list(finetune(classifier, source, config, ONE_DEVICE, Reporter()))
    assert not np.array_equal(before[0], classifier.network.get_layer("stem_conv").get_weights()[0])
    # What the last stage trained on was computed by the weights that the one before had left.
    _, cached = source.at(HEAD)
    lower = FrozenPart(classifier.lower(0))
    anew = compute_activations(val, CLASSES, lower, CACHE, 8)
    rows = np.arange(len(val))
    np.testing.assert_allclose(cached.read(rows, 0).inputs, anew.read(rows, 0).inputs, atol=1e-5)


def test_two_trainings_are_equal(data, tiny_config):
    models = [training.train(data, tiny_config).classifier.network for _ in range(2)]
    for first, second in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(first, second)


class _KilledError(Exception):
    pass


class _KilledAfter(Reporter):
    """Ends the training as an interruption would, once so many epochs have been told."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def epoch(self, *_) -> None:
        if self.epochs == 0:
            raise _KilledError
        self.epochs -= 1


@pytest.mark.parametrize("epochs", [1, 2, 4])
def test_a_resumed_training_ends_as_an_undisturbed_one(data, tiny_config, tmp_path, epochs):
    blocks = StageConfig(train="top_blocks", blocks=2, epochs=1, learning_rate=1e-3)
    stages = (
        blocks,
        HEAD.model_copy(update={"ema": 0.5, "epochs": 2}),
        blocks.model_copy(update={"blocks": 3, "epochs": 2}),
    )
    # Of weights that anyone can load again, only what has trained is saved.
    settings = {"weights": "imagenet", "stages": stages, "dropout": 0.3}
    config = tiny_config.model_copy(update=settings)
    undisturbed = training.train(data, config)
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    with pytest.raises(_KilledError):
        training.train(data, config, None, _KilledAfter(epochs), checkpoint)
    told = _KilledAfter(100)
    resumed = training.train(data, config, None, told, checkpoint)
    # The epoch in which it was killed was not saved yet.
    assert 100 - told.epochs == 5 - epochs
    assert [_losses([r]) for r in resumed.results] == [_losses([r]) for r in undisturbed.results]
    pixels = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3))
    np.testing.assert_allclose(
        resumed.classifier.network(pixels), undisturbed.classifier.network(pixels), atol=1e-6
    )


def test_random_weights_are_in_the_checkpoint(train, val, tiny_config, tmp_path):
    """Whoever goes on may have drawn others: by JAX, if TensorFlow exports."""
    checkpoint, networks = Checkpoint(tmp_path / "checkpoint"), []
    for seed in (0, 1):
        classifier = _classifier(seed)
        source = ActivationSource(classifier, train, val, CLASSES, tiny_config)
        of = (classifier, source, tiny_config, ONE_DEVICE, Reporter(), checkpoint)
        list(finetune(*of))
        networks.append(classifier.network.get_weights())
    for first, second in zip(*networks, strict=True):
        np.testing.assert_array_equal(first, second)


def test_only_what_a_stage_trains_changes(train, val, tiny_config):
    classifier = _classifier()
    before = {weight.path: weight.numpy() for weight in classifier.network.weights}
    _finetune(classifier, train, val, tiny_config)
    changed = {
        weight.path.split("/")[0].split("_")[0]
        for weight in classifier.network.weights
        if not np.array_equal(before[weight.path], weight.numpy())
    }
    assert changed == {"block7a", "top", "logits"}


def test_the_best_epoch_by_val_stays(train, val, tiny_config):
    stage = StageConfig(train="head", epochs=6, learning_rate=1.0, warmup=0.0)
    trainer = _head(stage, tiny_config, train, val)
    losses = [epoch.val.loss for epoch in trainer.epochs]
    assert trainer.best_epoch == int(np.argmin(losses))


def test_a_stage_ends_early_where_nothing_gets_better(train, val, tiny_config):
    stage = StageConfig(train="head", epochs=30, learning_rate=1.0, warmup=0.0, patience=2)
    trainer = _head(stage, tiny_config, train, val)
    assert len(trainer.epochs) == trainer.best_epoch + 3 < 30


def test_a_moving_average_is_what_is_judged(train, val, tiny_config):
    """At a momentum near 1 it stays where it began, however far the weights go."""
    stage = StageConfig(train="head", epochs=4, learning_rate=1.0, ema=0.9999)
    averaged = _head(stage, tiny_config, train, val)
    plain = _head(stage.model_copy(update={"ema": 0.0}), tiny_config, train, val)
    assert averaged.epochs[3].train == plain.epochs[3].train
    assert averaged.epochs[3].val.loss < 2 < plain.epochs[3].val.loss


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "lion"])
def test_every_optimizer_learns(train, val, tiny_config, optimizer):
    stage = HEAD.model_copy(update={"optimizer": optimizer, "weight_decay": 1e-4, "epochs": 6})
    epochs = _head(stage, tiny_config, train, val).epochs
    assert epochs[-1].train.loss < epochs[0].train.loss


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_and_what_serves_is_in_full(data, tiny_config, precision):
    hardware = {"precision": precision}
    config = TrainConfig.parse({**tiny_config.model_dump(mode="json"), "hardware": hardware})
    trained = training.train(data, config)
    assert keras.config.dtype_policy().name == "float32"
    layers = trained.classifier.network.layers
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    full = _losses(training.train(data, tiny_config).results)
    np.testing.assert_allclose(_losses(trained.results), full, rtol=0.1)
    assert _losses(trained.results) != full


def test_two_devices_train_as_one(data, tiny_config):
    """Two logical CPUs, which conftest makes; a batch of 8 is 4 and 4."""
    # Which features are dropped, each device draws for itself.
    plain = tiny_config.model_copy(update={"dropout": 0.0})
    mirrored = plain.hardware.model_copy(update={"strategy": "mirrored"})
    assert make_strategy(mirrored).num_replicas_in_sync == 2
    two = training.train(data, plain, replicas=Replicas(make_strategy(mirrored)))
    one = training.train(data, plain)
    np.testing.assert_allclose(_losses(two.results), _losses(one.results), rtol=1e-3)


def test_float16_on_several_devices_is_refused():
    both = HardwareConfig(strategy="mirrored", precision="mixed_float16")
    with pytest.raises(ConfigError, match="is for one device; there are 2"):
        make_strategy(both)


def test_a_compiled_step_is_the_same_step(train, val, tiny_config):
    compiled = tiny_config.model_copy(update={"hardware": HardwareConfig(jit_compile=True)})
    losses = [
        [epoch.train.loss for epoch in _head(HEAD, config, train, val).epochs]
        for config in (tiny_config, compiled)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_more_devices_than_images_is_no_fault(data, tiny_config):
    """The last batch of 24 by 23 is one image, for two devices."""
    augmentation = AugmentationConfig(views=None, mixup=0.2)
    config = tiny_config.model_copy(update={"augmentation": augmentation, "batch_size": 23})
    mirrored = Replicas(make_strategy(HardwareConfig(strategy="mirrored")))
    assert np.isfinite(_losses(training.train(data, config, replicas=mirrored).results)).all()


def test_a_diverging_stage_is_an_error(train, val, tiny_config):
    stage = StageConfig(train="head", epochs=3, learning_rate=1e38)
    with pytest.raises(InputError, match=r"not finite.*lower its learning_rate"):
        _head(stage, tiny_config, train, val)


def test_cut_parts_make_the_whole():
    classifier = _classifier()
    pixels = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)
    whole = classifier.network(pixels)
    for blocks in (0, 3, 16, 17):
        parts = classifier.upper(blocks)(classifier.lower(blocks)(pixels))
        np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_labels_that_cannot_be_trained_on(train, val):
    with pytest.raises(DataError, match="one class only"):
        check_labels(["hat"], train, val)
    with pytest.raises(DataError, match="without training images: scarf"):
        check_labels(["a", "b", "c", "scarf"], train, val)
    unknown = replace(val, labels=np.full_like(val.labels, -1))
    with pytest.raises(DataError, match="6 images of the val split"):
        check_labels(["a", "b", "c"], train, unknown)
