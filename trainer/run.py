"""The Trainer's entry point: the one place that meets TFX's FnArgs."""

import json
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components import features
from components.errors import DataError
from trainer.activation_cache import (
    Activations,
    FreshActivations,
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


def run_fn(fn_args: Any) -> None:
    """Trains a classifier and exports it; called by TFX's Trainer.

    Args:
        fn_args: TFX's FnArgs. Of its custom_config, `train_config` and `transform_config` are
            the JSON of TrainConfig and TransformConfig.

    Raises:
        DataError: the examples can't be trained on.
        ConfigError, InputError: the backbone can't be built, or training failed to converge.
    """
    started = time.monotonic()
    config = TrainConfig.parse_json(fn_args.custom_config["train_config"])
    transform = TransformConfig.parse_json(fn_args.custom_config["transform_config"])
    image_size = resolve_image_size(transform, config)
    labels = _read_labels(fn_args.transform_graph_path)
    train = index_examples(fn_args.train_files, features.TRAIN)
    val = index_examples(fn_args.eval_files, features.VAL)
    _check_labels(labels, train, val)

    make_deterministic(config.seed)
    backbone = build_backbone(config.backbone, config.weights, image_size)
    classifier = Classifier(backbone, len(labels), config.dropout)
    prepared = time.monotonic()
    train_activations = _train_activations(train, classifier, config, image_size)
    val_activations = compute_activations(
        val, classifier.lower(lowest_cut(config)), config.cache, config.batch_size
    )
    cached = time.monotonic()
    results = finetune(classifier, train_activations, val_activations, config)
    trained = time.monotonic()
    module = ServingModule(classifier.network, labels, image_size, transform.resize)
    export(module, fn_args.serving_model_dir)
    seconds = {
        "prepare": prepared - started,
        "activations": cached - prepared,
        "stages": trained - cached,
        "export": time.monotonic() - trained,
    }
    facts = {
        "backbone": config.backbone,
        "image_size": image_size,
        "classes": labels,
        "images": {features.TRAIN: len(train), features.VAL: len(val)},
        "seconds": {part: round(value, 1) for part, value in seconds.items()},
        "stages": [_stage_facts(result) for result in results],
    }
    _write_json(Path(fn_args.model_run_dir) / HISTORY_FILE, facts)


def make_deterministic(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, and has TensorFlow choose reproducible kernels."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _train_activations(
    index: ExampleIndex, classifier: Classifier, config: TrainConfig, image_size: int
) -> Activations:
    lower = classifier.lower(lowest_cut(config))
    views = config.augmentation.views
    if views is None:
        pixels = load_pixels(index, image_size, config.cache, config.batch_size)
        return FreshActivations(pixels, index, lower, config.augmentation, config.seed)
    return compute_activations(
        index, lower, config.cache, config.batch_size, views, config.augmentation, config.seed
    )


def _read_labels(transform_graph_path: str) -> list[str]:
    output = tft.TFTransformOutput(transform_graph_path)
    names = output.vocabulary_by_name(features.VOCABULARY)
    return [name.decode() for name in names]


def _check_labels(labels: list[str], train: ExampleIndex, val: ExampleIndex) -> None:
    if len(labels) < 2:
        raise DataError(f"the train split has one class only ({labels}): at least two are needed")
    counts = Counter(train.labels.tolist())
    empty = [label for number, label in enumerate(labels) if not counts[number]]
    if empty:
        raise DataError(f"classes without training images: {', '.join(empty)}")
    unknown = int((val.labels < 0).sum())
    if unknown:
        raise DataError(
            f"{unknown} images of the val split have a class that the train split has not"
        )


def _stage_facts(result: StageResult) -> dict[str, Any]:
    return {
        **result.stage.model_dump(),
        "best_epoch": result.best_epoch + 1,
        "seconds": round(result.seconds, 1),
        "history": [asdict(epoch) for epoch in result.epochs],
    }


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
