"""One stage of fine-tuning: optimizer, compiled steps and the loop over epochs."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.errors import InputError
from trainer.activation_cache import Activations
from trainer.config import TrainConfig
from trainer.devices import Replicas
from trainer.optimization import WeightedLoss, epoch_order, make_optimizer
from trainer.results import Epoch, Metrics
from trainer.variables import assign, values


class StageTrainer:
    """Trains the part of the network above a cut.

    Attributes:
        optimizer: the stage's.
        epochs: those that have ended.
        best_epoch: index of the one with the least val loss.
        best_weights: the trained weights as they were after it.
    """

    def __init__(
        self,
        model: keras.Model,
        number: int,
        config: TrainConfig,
        train: Activations,
        val: Activations,
        replicas: Replicas,
    ) -> None:
        """Compiles the steps.

        Args:
            model: activations to logits; what of it is to train is trainable.
            number: of the stage, from 0.
            config: of the training.
            train: activations of the train split at the cut.
            val: those of the val split, on which the best epoch is chosen.
            replicas: the devices.
        """
        self._model = model
        self._number = number
        self._stage = config.stages[number]
        self._config = config
        self._train_data, self._val_data = train, val
        self._replicas = replicas
        classes = model.output.shape[-1]
        smoothing = self._stage.label_smoothing
        self._loss = WeightedLoss(config.loss, smoothing, train.labels, classes)
        steps = self._stage.epochs * math.ceil(len(train.labels) / config.batch_size)
        with replicas.strategy.scope():
            self.optimizer = make_optimizer(self._stage, steps)
            if config.hardware.precision == "mixed_float16":
                self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
            self.optimizer.build(model.trainable_variables)
        self._train_step = self._compiled(self._train)
        self._val_step = self._compiled(self._evaluate)
        self.epochs: list[Epoch] = []
        self.best_epoch = 0
        self.best_weights = values(model.trainable_variables)

    def run(self) -> Iterator[Epoch]:
        """Trains epoch by epoch, from the first that has not ended yet.

        Raises:
            InputError: the loss is not finite.
        """
        patience = self._stage.patience or self._stage.epochs
        for number in range(len(self.epochs), self._stage.epochs):
            if number - self.best_epoch > patience:
                return
            seed = (self._config.seed, self._number, number)
            order = epoch_order(self._train_data.labels, self._config.loss, seed)
            trained = self._pass(self._train_data, order, number, training=True)
            with self._averaged():
                rows = np.arange(len(self._val_data.labels))
                epoch = Epoch(trained, self._pass(self._val_data, rows, number, training=False))
                if number == 0 or epoch.val.loss < self.epochs[self.best_epoch].val.loss:
                    self.best_epoch = number
                    self.best_weights = values(self._model.trainable_variables)
            self.epochs.append(epoch)
            yield epoch

    def keep_best(self) -> None:
        """Puts the best epoch's weights back."""
        assign(self._model.trainable_variables, self.best_weights)

    def release(self) -> None:
        """Lets the activations go; nothing can be trained any more."""
        del self._train_data, self._val_data

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Inside, the network has the moving average of its weights, if the stage keeps one."""
        if not self._stage.ema:
            yield
            return
        variables = self._model.trainable_variables
        current = values(variables)
        self.optimizer.finalize_variable_values(variables)
        try:
            yield
        finally:
            assign(variables, current)

    def _pass(self, data: Activations, order: np.ndarray, epoch: int, training: bool) -> Metrics:
        def read(rows: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
            batch = data.read(rows, epoch)
            return tf.cast(batch.inputs, tf.float32), tf.cast(batch.targets, tf.float32)

        step = self._train_step if training else self._val_step
        loss, correct = tf.constant(0.0), tf.constant(0, tf.int64)
        for start in range(0, len(order), self._config.batch_size):
            rows = order[start : start + self._config.batch_size]
            inputs, targets = self._replicas.deal(rows, read)
            batch_loss, batch_correct = step(inputs, targets, tf.constant(float(len(rows))))
            loss, correct = loss + batch_loss, correct + batch_correct
        if not math.isfinite(loss):
            raise InputError(
                f"the loss of stage {self._number} ({self._stage.train}) is not finite in "
                f"epoch {epoch + 1}: lower its learning_rate "
                f"(received: {self._stage.learning_rate:g})"
            )
        return Metrics(float(loss) / len(order), int(correct) / len(order))

    def _compiled(self, step: Callable[..., tuple[tf.Tensor, tf.Tensor]]) -> Callable[..., Any]:
        """A step on all replicas; returns the sums over the whole batch."""
        strategy = self._replicas.strategy
        if self._config.hardware.jit_compile:
            # What runs on one device: XLA can't compile across them.
            step = tf.function(step, jit_compile=True)

        def run(inputs: Any, targets: Any, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            losses, correct = strategy.run(step, (inputs, targets, count))
            return (
                strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None),
                strategy.reduce(tf.distribute.ReduceOp.SUM, correct, axis=None),
            )

        # Batches differ in size, and one trace serves all; values of several devices have no spec.
        signature = [
            tf.TensorSpec(self._model.input.shape, tf.float32),
            tf.TensorSpec([None, self._model.output.shape[-1]], tf.float32),
            tf.TensorSpec([], tf.float32),
        ]
        return tf.function(run, input_signature=signature if self._replicas.single else None)

    def _train(
        self, inputs: tf.Tensor, targets: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = self._model(inputs, training=True)
            loss = tf.reduce_sum(self._loss(targets, logits))
            scaled = self.optimizer.scale_loss(loss / count)
        variables = self._model.trainable_variables
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss, _count_correct(logits, targets)

    def _evaluate(
        self, inputs: tf.Tensor, targets: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self._model(inputs, training=False)
        return tf.reduce_sum(self._loss(targets, logits)), _count_correct(logits, targets)


def _count_correct(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1))
