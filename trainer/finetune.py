"""The stages of fine-tuning, each over the activations of what it leaves frozen."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from components import run_events
from components.errors import InputError
from trainer.activation_cache import Activations, FrozenPart
from trainer.config import StageConfig, TrainConfig
from trainer.model import Classifier


@dataclass(frozen=True)
class Metrics:
    """Means over a split: cross-entropy against the smoothed labels, and share correct."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images."""

    train: Metrics
    val: Metrics


@dataclass(frozen=True)
class StageResult:
    """What a stage did; `best_epoch` (from 0) is the one whose weights it ended with."""

    stage: StageConfig
    epochs: tuple[Epoch, ...]
    best_epoch: int
    seconds: float


def lowest_cut(config: TrainConfig) -> int:
    """Returns the most blocks that any stage trains: what lies below them never changes."""
    return max(stage.trained_blocks for stage in config.stages)


def finetune(
    classifier: Classifier, train: Activations, val: Activations, config: TrainConfig
) -> list[StageResult]:
    """Runs the stages one after the other; each leaves its best epoch's weights.

    Args:
        classifier: trained in place.
        train: activations of the train split at `lowest_cut(config)`.
        val: those of the val split, on which the best epoch is chosen.
        config: the stages and what they share.

    Raises:
        InputError: a loss is not finite.
    """
    results = []
    lowest = lowest_cut(config)
    for number, stage in enumerate(config.stages):
        started = time.monotonic()
        stage_train, stage_val = train, val
        if stage.trained_blocks < lowest:
            part = FrozenPart(classifier.between(lowest, stage.trained_blocks))
            stage_train, stage_val = train.through(part), val.through(part)
        classifier.train_only_above(stage.trained_blocks)
        model = classifier.upper(stage.trained_blocks)
        trainer = _StageTrainer(model, stage, config, number, len(stage_train.labels))
        epochs, best = trainer.run(stage_train, stage_val)
        results.append(StageResult(stage, epochs, best, time.monotonic() - started))
    return results


class _StageTrainer:
    """Optimizer, compiled steps and loop of one stage."""

    def __init__(
        self, model: keras.Model, stage: StageConfig, config: TrainConfig, number: int, images: int
    ) -> None:
        self._model = model
        self._stage = stage
        self._config = config
        self._number = number
        self._loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing, reduction="sum"
        )
        steps = stage.epochs * math.ceil(images / config.batch_size)
        self._optimizer = _make_optimizer(stage, steps)
        self._optimizer.build(model.trainable_variables)
        signature = [
            tf.TensorSpec(model.input.shape, tf.float32),
            tf.TensorSpec([None], tf.int64),
        ]
        self._train_step = tf.function(self._train, input_signature=signature)
        self._val_step = tf.function(self._evaluate, input_signature=signature)

    def run(self, train: Activations, val: Activations) -> tuple[tuple[Epoch, ...], int]:
        """Trains all epochs and puts back the weights of the best by val loss."""
        epochs: list[Epoch] = []
        best, best_weights = 0, self._weights()
        for number in range(self._stage.epochs):
            order = np.random.default_rng((self._config.seed, self._number, number)).permutation(
                len(train.labels)
            )
            epoch = Epoch(
                self._pass(train, order, number, training=True),
                self._pass(val, np.arange(len(val.labels)), number, training=False),
            )
            epochs.append(epoch)
            self._report(number, epoch)
            if number == 0 or epoch.val.loss < epochs[best].val.loss:
                best, best_weights = number, self._weights()
        for variable, value in zip(self._model.trainable_variables, best_weights, strict=True):
            variable.assign(value)
        return tuple(epochs), best

    def _pass(self, data: Activations, order: np.ndarray, epoch: int, training: bool) -> Metrics:
        step = self._train_step if training else self._val_step
        loss, correct = 0.0, 0
        for rows in self._batches(order):
            batch_loss, batch_correct = step(
                tf.cast(data.read(rows, epoch), tf.float32), tf.constant(data.labels[rows])
            )
            loss += float(batch_loss)
            correct += int(batch_correct)
            if not math.isfinite(loss):
                raise InputError(
                    f"the loss of stage {self._number} ({self._stage.train}) is not finite in "
                    f"epoch {epoch + 1}: lower its learning_rate "
                    f"(received: {self._stage.learning_rate:g})"
                )
        return Metrics(loss / len(order), correct / len(order))

    def _batches(self, order: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(order), self._config.batch_size):
            yield order[start : start + self._config.batch_size]

    def _train(self, inputs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = self._model(inputs, training=True)
            loss = self._loss(tf.one_hot(labels, logits.shape[-1]), logits)
            mean_loss = loss / tf.cast(tf.shape(labels)[0], tf.float32)
        variables = self._model.trainable_variables
        self._optimizer.apply_gradients(
            zip(tape.gradient(mean_loss, [v.value for v in variables]), variables, strict=True)
        )
        return loss, _count_correct(logits, labels)

    def _evaluate(self, inputs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self._model(inputs, training=False)
        loss = self._loss(tf.one_hot(labels, logits.shape[-1]), logits)
        return loss, _count_correct(logits, labels)

    def _weights(self) -> list[np.ndarray]:
        return [variable.numpy() for variable in self._model.trainable_variables]

    def _report(self, number: int, epoch: Epoch) -> None:
        run_events.record(
            "epoch",
            stage=self._stage.train,
            epoch=number + 1,
            epochs=self._stage.epochs,
            loss=epoch.train.loss,
            accuracy=epoch.train.accuracy,
            val_loss=epoch.val.loss,
            val_accuracy=epoch.val.accuracy,
        )


def _make_optimizer(stage: StageConfig, steps: int) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101), warmed up, then decayed along a cosine."""
    warmup_steps = round(steps * stage.warmup)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else stage.learning_rate,
        decay_steps=max(1, steps - warmup_steps),
        warmup_target=stage.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=stage.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def _count_correct(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(tf.argmax(logits, axis=1) == labels)
