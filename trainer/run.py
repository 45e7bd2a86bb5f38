"""The Trainer's entry point: the one place that meets TFX's FnArgs."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import features
from components.errors import DataError
from trainer.activation_cache import (
    Activations,
    FreshActivations,
    FrozenPart,
    compute_activations,
    load_pixels,
)
from trainer.backbones.build import build_backbone
from trainer.config import TrainConfig, TransformConfig, resolve_image_size
from trainer.finetune import StageResult, finetune, lowest_cut
from trainer.input_pipeline import ExampleIndex, index_examples
from trainer.model import Classifier
from trainer.signatures import ServingModule, export

HISTORY_FILE = "training.json"


@dataclass(frozen=True)
class Trained:
    """A trained classifier and how it came about."""

    classifier: Classifier
    labels: list[str]
    image_size: int
    images: dict[str, int]
    results: list[StageResult]
    seconds: dict[str, float]


def run_fn(fn_args: Any) -> None:
    """Trains a classifier and exports it; called by TFX's Trainer.

    Args:
        fn_args: TFX's FnArgs. Of its custom_config, `train_config` and `transform_config` are
            the JSON of TrainConfig and TransformConfig.

    Raises:
        DataError: the examples can't be trained on.
        ConfigError: the backbone can't be built as configured.
        InputError: its weights can't be had, or a loss is not finite.
        OSError: the cache of activations does not fit on the disk.
    """
    config = TrainConfig.parse_json(fn_args.custom_config["train_config"])
    transform = TransformConfig.parse_json(fn_args.custom_config["transform_config"])
    trained = train(fn_args, config, resolve_image_size(transform, config))
    started = time.monotonic()
    module = ServingModule(
        trained.classifier.network, trained.labels, trained.image_size, transform.resize
    )
    export(module, fn_args.serving_model_dir)
    trained.seconds["export"] = time.monotonic() - started
    _write_history(Path(fn_args.model_run_dir) / HISTORY_FILE, trained, config)


def train(fn_args: Any, config: TrainConfig, image_size: int) -> Trained:
    """Checks the examples, builds the classifier and runs its stages. Raises what `run_fn` does.

    The same examples, configuration and seed give the same model on a CPU.
    """
    times = [time.monotonic()]
    labels = _read_labels(fn_args.transform_graph_path)
    train_index = index_examples(fn_args.train_files, features.TRAIN)
    val_index = index_examples(fn_args.eval_files, features.VAL)
    _check_labels(labels, train_index, val_index)

    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    backbone = build_backbone(config.backbone, config.weights, image_size)
    classifier = Classifier(backbone, len(labels), config.dropout)
    times.append(time.monotonic())

    lower = FrozenPart(classifier.lower(lowest_cut(config)))
    train_activations = _train_activations(train_index, lower, config, image_size)
    val_activations = compute_activations(val_index, lower, config.cache, config.batch_size)
    times.append(time.monotonic())

    results = finetune(classifier, train_activations, val_activations, config)
    times.append(time.monotonic())
    durations = np.diff(times).tolist()
    seconds = dict(zip(("prepare", "activations", "stages"), durations, strict=True))
    images = {features.TRAIN: len(train_index), features.VAL: len(val_index)}
    return Trained(classifier, labels, image_size, images, results, seconds)


def _train_activations(
    index: ExampleIndex, lower: FrozenPart, config: TrainConfig, image_size: int
) -> Activations:
    if config.augmentation.views is None:
        pixels = load_pixels(index, image_size, config.cache, config.batch_size)
        return FreshActivations(pixels, index, lower, config.augmentation, config.seed)
    return compute_activations(
        index, lower, config.cache, config.batch_size, config.augmentation, config.seed
    )


def _read_labels(transform_graph_path: str) -> list[str]:
    """Class names in order of the class index."""
    output = tft.TFTransformOutput(transform_graph_path)
    return [name.decode() for name in output.vocabulary_by_name(features.VOCABULARY)]


def _check_labels(labels: list[str], train: ExampleIndex, val: ExampleIndex) -> None:
    if len(labels) < 2:
        raise DataError(
            f"the train split has one class only ({', '.join(labels)}): two or more are needed"
        )
    trained = set(train.labels.tolist())
    empty = [label for number, label in enumerate(labels) if number not in trained]
    if empty:
        raise DataError(f"classes without training images: {', '.join(empty)}")
    unknown = int((val.labels < 0).sum())
    if unknown:
        raise DataError(
            f"{unknown} images of the val split have a class that the train split has not"
        )


def _write_history(path: Path, trained: Trained, config: TrainConfig) -> None:
    """Writes what a person or a report wants to know of a training, as JSON."""
    facts = {
        "backbone": config.backbone,
        "image_size": trained.image_size,
        "classes": trained.labels,
        "images": trained.images,
        "seconds": {part: round(value, 1) for part, value in trained.seconds.items()},
        "stages": [
            {
                **result.stage.model_dump(),
                "best_epoch": result.best_epoch + 1,
                "seconds": round(result.seconds, 1),
                "history": [asdict(epoch) for epoch in result.epochs],
            }
            for result in trained.results
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
