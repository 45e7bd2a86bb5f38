"""A whole training: the classifier is built, and its stages are run."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from components import run_events
from trainer import warm_start
from trainer.activation_source import ActivationSource
from trainer.backbones.build import build_backbone
from trainer.checkpoints import Checkpoint
from trainer.config import TrainConfig
from trainer.devices import Replicas
from trainer.finetune import finetune
from trainer.jax_process import in_jax_process
from trainer.model import Classifier
from trainer.results import Reporter, StageResult
from trainer.task import Data
from trainer.variables import assign, values


@dataclass(frozen=True)
class Trained:
    """A trained classifier and how it came about.

    Attributes:
        classifier: with the weights of the last stage's best epoch, in full precision.
        results: of the stages.
        weights: what training began from: the configuration's weights, or "serving".
        source: of the activations that the stages trained on.
    """

    classifier: Classifier
    results: list[StageResult]
    weights: str
    source: ActivationSource


def train(
    data: Data,
    config: TrainConfig,
    base_model: str | None = None,
    reporter: Reporter | None = None,
    checkpoint: Checkpoint | None = None,
    replicas: Replicas | None = None,
) -> Trained:
    """Builds the classifier and runs its stages. Raises what `trainer.run.run_fn` does.

    The same data, configuration and seed give the same model on a CPU.

    Args:
        data: from `read_data`.
        config: backbone and stages.
        base_model: the model that serves now, for a warm start.
        reporter: is told each epoch.
        checkpoint: where to go on from.
        replicas: the devices; None for one.
    """
    warm = config.warm_start == "serving" and warm_start.exists(base_model)
    if config.warm_start == "serving" and not warm:
        run_events.warn("no model serves yet to begin from: trainer.weights are taken")
    begin_from = base_model if warm else None
    reporter = reporter or Reporter()
    with tempfile.TemporaryDirectory() as scratch:
        if config.hardware.backend == "jax":
            # When it has ended, there is nothing left to train, and this process has its model.
            checkpoint = checkpoint or Checkpoint(Path(scratch))
            in_jax_process(_train_there, data, config, begin_from, checkpoint)
            _check_finished(checkpoint, config)
        replicas = replicas or Replicas(tf.distribute.get_strategy())
        done = _run_stages(data, config, begin_from, reporter, checkpoint, replicas)
    classifier, results, source = done
    return Trained(classifier, results, "serving" if warm else config.weights, source)


def _train_there(
    data: Data, config: TrainConfig, begin_from: str | None, checkpoint: Checkpoint
) -> None:
    from trainer import jax_steps

    # TensorFlow only reads images here.
    tf.config.set_visible_devices([], "GPU")
    if config.hardware.precision == "float32":
        jax_steps.compute_in_full_precision()
    replicas = Replicas(tf.distribute.get_strategy())
    _run_stages(data, config, begin_from, Reporter(), checkpoint, replicas)


def _check_finished(checkpoint: Checkpoint, config: TrainConfig) -> None:
    """Whatever was left would be trained by TensorFlow now, without a word."""
    saved = checkpoint.load()
    if saved is None or len(saved.facts["stages"]) < len(config.stages):
        raise RuntimeError("the process that trains by JAX ended before its last stage had")


def _run_stages(
    data: Data,
    config: TrainConfig,
    begin_from: str | None,
    reporter: Reporter,
    checkpoint: Checkpoint | None,
    replicas: Replicas,
) -> tuple[Classifier, list[StageResult], ActivationSource]:
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    size = data.train.image_size
    with precision(config.hardware.precision), replicas.strategy.scope():
        classifier = build_classifier(data.labels, config, size, begin_from)
    source = ActivationSource(classifier, data.train, data.val, len(data.labels), config)
    results = list(finetune(classifier, source, config, replicas, reporter, checkpoint))
    if config.hardware.precision != "float32":
        classifier = _in_full_precision(classifier, data.labels, config, size)
    return classifier, results, source


def _in_full_precision(
    classifier: Classifier, labels: list[str], config: TrainConfig, image_size: int
) -> Classifier:
    """Copies a classifier: half precision is the devices' that train, what serves may lack it."""
    empty = config.model_copy(update={"weights": "none"})
    full = build_classifier(labels, empty, image_size)
    assign(full.network.variables, values(classifier.network.variables))
    return full


def build_classifier(
    labels: list[str],
    config: TrainConfig,
    image_size: int,
    base_model: str | None = None,
    again: bool = False,
) -> Classifier:
    """Builds backbone and head, with the weights that training begins from.

    Args:
        labels: class names.
        config: backbone, weights and the size that the network sees.
        image_size: of the transformed images, taken where the configuration names none.
        base_model: an exported model to begin from, in place of the configured weights.
        again: whether it was built before, and what is new to that model was told.

    Raises:
        ConfigError: the backbone can't be built, or not begin from the model that serves.
        InputError: its weights can't be had.
    """
    weights = "none" if base_model else config.weights
    backbone = build_backbone(config.backbone, weights, config.image_size or image_size)
    classifier = Classifier(backbone, len(labels), config.dropout)
    if base_model:
        new = warm_start.begin_from(classifier.network, labels, base_model)
        if (
            new and not again and keras.backend.backend() == "tensorflow"
        ):  # else it is told by who exports
            run_events.warn(f"new to the model that training begins from: {', '.join(new)}")
    return classifier


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers made inside compute in this precision."""
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)
