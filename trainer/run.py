"""The Trainer's entry point."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from components import features, run_events
from trainer import warm_start
from trainer.activation_source import ActivationSource
from trainer.backbones.build import build_backbone
from trainer.checkpoints import Checkpoint
from trainer.config import TrainConfig
from trainer.devices import Replicas, is_chief, make_strategy
from trainer.finetune import finetune
from trainer.model import Classifier
from trainer.results import Reporter, StageResult
from trainer.signatures import ServingModule, export
from trainer.task import Data, Task, read_data

LOGS_FOLDER = "logs"


@dataclass(frozen=True)
class Trained:
    """A trained classifier and how it came about.

    Attributes:
        classifier: with the weights of the last stage's best epoch.
        results: of the stages.
        weights: what training began from: the configuration's weights, or "serving".
    """

    classifier: Classifier
    results: list[StageResult]
    weights: str


def run_fn(fn_args: Any) -> None:
    """Trains a classifier and exports it; called by TFX's Trainer.

    Args:
        fn_args: TFX's FnArgs; see `trainer.task.Task.of` for what its custom_config holds.

    Raises:
        DataError: the examples can't be trained on.
        ConfigError: the backbone can't be built as configured.
        InputError: its weights can't be had, or a loss is not finite.
        OSError: activations or checkpoints don't fit on the disk.
    """
    task = Task.of(fn_args)
    # Several workers have to find one another before TensorFlow computes anything.
    replicas = Replicas(make_strategy(task.config.hardware))
    data = read_data(fn_args)
    run_dir = Path(fn_args.model_run_dir)
    reporter = Reporter(run_dir / LOGS_FOLDER) if is_chief() else None
    checkpoint = Checkpoint(task.checkpoint_folder(data), writable=is_chief())
    trained = train(data, task.config, task.base_model, reporter, checkpoint, replicas)
    if not is_chief():
        return
    network = trained.classifier.network
    module = ServingModule(network, data.labels, data.train.image_size, task.transform.resize)
    export(module, fn_args.serving_model_dir)
    _write_facts(Path(fn_args.serving_model_dir), _facts(trained, task.config, data))
    checkpoint.clear()


def train(
    data: Data,
    config: TrainConfig,
    base_model: str | None = None,
    reporter: Reporter | None = None,
    checkpoint: Checkpoint | None = None,
    replicas: Replicas | None = None,
) -> Trained:
    """Builds the classifier and runs its stages. Raises what `run_fn` does.

    The same data, configuration and seed give the same model on a CPU.

    Args:
        data: from `read_data`.
        config: backbone and stages.
        base_model: the model that serves now, for a warm start.
        reporter: is told each epoch.
        checkpoint: where to go on from.
        replicas: the devices; None for one.
    """
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    replicas = replicas or Replicas(tf.distribute.get_strategy())
    warm = config.warm_start == "serving" and warm_start.exists(base_model)
    if config.warm_start == "serving" and not warm:
        run_events.warn("no model serves yet to begin from: trainer.weights are taken")
    with precision(config.hardware.precision), replicas.strategy.scope():
        classifier = build_classifier(
            data.labels, config, data.train.image_size, base_model if warm else None
        )
    source = ActivationSource(classifier, data.train, data.val, len(data.labels), config)
    results = list(
        finetune(classifier, source, config, replicas, reporter or Reporter(), checkpoint)
    )
    return Trained(classifier, results, "serving" if warm else config.weights)


def build_classifier(
    labels: list[str], config: TrainConfig, image_size: int, base_model: str | None = None
) -> Classifier:
    """Builds backbone and head, with the weights that training begins from.

    Args:
        labels: class names.
        config: backbone, weights and the size that the network sees.
        image_size: of the transformed images, taken where the configuration names none.
        base_model: an exported model to begin from, in place of the configured weights.

    Raises:
        ConfigError: the backbone can't be built, or not begin from the model that serves.
        InputError: its weights can't be had.
    """
    weights = "none" if base_model else config.weights
    backbone = build_backbone(config.backbone, weights, config.image_size or image_size)
    classifier = Classifier(backbone, len(labels), config.dropout)
    if base_model:
        new = warm_start.begin_from(classifier.network, labels, base_model)
        if new:
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


def _facts(trained: Trained, config: TrainConfig, data: Data) -> dict[str, Any]:
    """What a person or a report wants to know of a training, as JSON values."""
    return {
        "backbone": config.backbone,
        "weights": trained.weights,
        "image_size": trained.classifier.network.input.shape[1],
        "parameters": trained.classifier.network.count_params(),
        "classes": data.labels,
        "images": {features.TRAIN: len(data.train), features.VAL: len(data.val)},
        "stages": [
            {
                **result.stage.model_dump(mode="json"),
                "best_epoch": result.best_epoch + 1,
                "cache_seconds": round(result.cache_seconds, 1),
                "seconds": round(result.seconds, 1),
                "history": [asdict(epoch) for epoch in result.epochs],
            }
            for result in trained.results
        ],
    }


def _write_facts(model: Path, facts: dict[str, Any]) -> None:
    """Leaves the facts in the exported model, which they accompany to wherever it is pushed."""
    folder = model / features.EXTRA
    folder.mkdir(exist_ok=True)
    (folder / features.TRAINING_FILE).write_text(
        json.dumps(facts, indent=2) + "\n", encoding="utf-8"
    )
