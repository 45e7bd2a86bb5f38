"""One CPU or GPU, several GPUs of a machine, or several machines: the same loop for all.

A batch is that of all devices together: each computes its share of the losses' sum, divided by
the whole batch's size, and the gradients are added up. So which learning rate fits does not depend
on their number, and the result only by rounding and by what each device's dropout drops.
"""

import functools
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from components.errors import ConfigError
from trainer.hardware_config import HardwareConfig


def make_strategy(config: HardwareConfig) -> tf.distribute.Strategy:
    """Returns the strategy that a configuration asks for.

    Must be called before TensorFlow computes anything, if there are several workers.

    Raises:
        ConfigError: several workers are asked for, and TF_CONFIG names none; or float16 on
            several devices; or JAX on several machines.
    """
    if config.backend == "jax" and len(_workers()) > 1:
        raise ConfigError(
            "trainer.hardware.backend is jax, which trains on one machine; TF_CONFIG names "
            f"{len(_workers())} workers: start one"
        )
    strategy = _strategy(config)
    if strategy.num_replicas_in_sync > 1 and config.precision == "mixed_float16":
        # Keras looks for overflow on one device only, before the gradients are added up.
        raise ConfigError(
            "trainer.hardware.precision is mixed_float16, which is for one device; there are "
            f"{strategy.num_replicas_in_sync}: take mixed_bfloat16, or strategy one_device"
        )
    return strategy


def _strategy(config: HardwareConfig) -> tf.distribute.Strategy:
    workers = _workers()
    if config.strategy == "workers" and len(workers) < 2:
        raise ConfigError(
            "trainer.hardware.strategy is 'workers', but the environment variable TF_CONFIG names "
            f"{len(workers)} of them: a TFJob sets it, or set strategy to auto"
        )
    if config.strategy == "workers" or (config.strategy == "auto" and len(workers) > 1):
        return _over_workers()
    gpus = tf.config.list_logical_devices("GPU")
    if config.strategy == "mirrored" or (config.strategy == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return _over_devices(tuple(device.name for device in devices))
    return tf.distribute.get_strategy()


# TensorFlow numbers the exchanges of each strategy from the start and keeps their shapes for the
# whole process: a second strategy, such as the Trainer's after the Tuner's, would meet the first
# one's shapes and fail.
@functools.cache
def _over_devices(names: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(names)


@functools.cache
def _over_workers() -> tf.distribute.Strategy:
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief() -> bool:
    """Tells whether this process is the one that writes what all have trained."""
    task = _tf_config().get("task", {})
    if len(_workers()) < 2:
        return True
    chiefs = "chief" in _tf_config().get("cluster", {})
    return task.get("type") == "chief" if chiefs else task.get("index", 0) == 0


class Replicas:
    """Deals the rows of a batch to the devices of all workers."""

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        """Takes the strategy that variables were made under."""
        self.strategy = strategy
        context = strategy.cluster_resolver
        self._workers = len(_workers()) if _is_multi_worker(strategy) else 1
        self._worker = _worker_number(context) if self._workers > 1 else 0
        self._local = strategy.num_replicas_in_sync // self._workers

    @property
    def single(self) -> bool:
        """Whether there is one device only."""
        return self.strategy.num_replicas_in_sync == 1

    def deal(self, rows: np.ndarray, read: Callable[[np.ndarray], tuple[Any, ...]]) -> Any:
        """Reads this worker's share of some rows, and hands it out to its devices.

        Args:
            rows: of the whole batch; the same on all workers.
            read: reads rows into a tuple of tensors.

        Returns:
            A tuple of tensors, or of one tensor a device.
        """
        if self.single:
            return read(rows)
        own = np.array_split(rows, self._workers)[self._worker]
        sizes = [len(part) for part in np.array_split(own, self._local)]
        return tuple(self._spread(tf.split(values, sizes)) for values in read(own))

    def _spread(self, parts: list[tf.Tensor]) -> Any:
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group % self._local]
        )


def _tf_config() -> dict[str, Any]:
    return json.loads(os.environ.get("TF_CONFIG") or "{}")


def _workers() -> list[str]:
    cluster = _tf_config().get("cluster", {})
    return [*cluster.get("chief", []), *cluster.get("worker", [])]


def _is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _worker_number(resolver: Any) -> int:
    chiefs = len(_tf_config().get("cluster", {}).get("chief", []))
    return resolver.task_id + (chiefs if resolver.task_type == "worker" else 0)
