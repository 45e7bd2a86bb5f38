"""The Trainer's entry point: the one place that meets TFX's FnArgs."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components import features, run_events
from components.errors import DataError
from trainer import warm_start
from trainer.activation_source import ActivationSource
from trainer.backbones.build import build_backbone
from trainer.checkpoints import Checkpoint
from trainer.config import TrainConfig, TransformConfig, resolve_image_size
from trainer.devices import Replicas, is_chief, make_strategy
from trainer.finetune import finetune
from trainer.input_pipeline import ExampleIndex, index_examples
from trainer.model import Classifier
from trainer.results import Reporter, StageResult
from trainer.signatures import ServingModule, export

HISTORY_FILE = "training.json"
LOGS_FOLDER = "logs"


@dataclass(frozen=True)
class Trained:
    """A trained classifier and how it came about."""

    classifier: Classifier
    labels: list[str]
    image_size: int
    images: dict[str, int]
    results: list[StageResult]


def run_fn(fn_args: Any) -> None:
    """Trains a classifier and exports it; called by TFX's Trainer.

    Args:
        fn_args: TFX's FnArgs. Of its custom_config, `train_config` and `transform_config` are
            the JSON of TrainConfig and TransformConfig, `checkpoints` a folder for what an
            interrupted training goes on from, and `code_digest` tells the code apart.

    Raises:
        DataError: the examples can't be trained on.
        ConfigError: the backbone can't be built as configured.
        InputError: its weights can't be had, or a loss is not finite.
        OSError: activations or checkpoints don't fit on the disk.
    """
    config = TrainConfig.parse_json(fn_args.custom_config["train_config"])
    transform = TransformConfig.parse_json(fn_args.custom_config["transform_config"])
    run_dir = Path(fn_args.model_run_dir)
    data = read_data(fn_args)
    checkpoint = Checkpoint(_checkpoint_folder(fn_args, data))
    with precision(config.hardware.precision):
        trained = train(
            data,
            config,
            resolve_image_size(transform, config),
            fn_args.base_model,
            Reporter(run_dir / LOGS_FOLDER),
            checkpoint,
        )
    if not is_chief():
        return
    module = ServingModule(
        trained.classifier.network, trained.labels, trained.image_size, transform.resize
    )
    export(module, fn_args.serving_model_dir)
    _write_history(run_dir / HISTORY_FILE, trained, config)
    checkpoint.clear()


@dataclass(frozen=True)
class Data:
    """What there is to train on."""

    labels: list[str]
    train: ExampleIndex
    val: ExampleIndex


def read_data(fn_args: Any) -> Data:
    """Reads class names, labels and ids, no pixels yet.

    Raises:
        DataError: there is nothing that can be trained on.
    """
    labels = _read_labels(fn_args.transform_graph_path)
    train_index = index_examples(fn_args.train_files, features.TRAIN)
    val_index = index_examples(fn_args.eval_files, features.VAL)
    _check_labels(labels, train_index, val_index)
    return Data(labels, train_index, val_index)


def train(
    data: Data,
    config: TrainConfig,
    image_size: int,
    base_model: str | None = None,
    reporter: Reporter | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Builds the classifier and runs its stages. Raises what `run_fn` does.

    The same data, configuration and seed give the same model on a CPU.

    Args:
        data: from `read_data`.
        config: backbone and stages.
        image_size: of the transformed images, height and width in pixels.
        base_model: the model that serves now, for a warm start.
        reporter: is told each epoch.
        checkpoint: where to go on from.
    """
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    replicas = Replicas(make_strategy(config.hardware))
    with replicas.strategy.scope():
        classifier = build_classifier(data.labels, config, image_size, base_model)
    source = ActivationSource(classifier, data.train, data.val, len(data.labels), config)
    results = list(
        finetune(classifier, source, config, replicas, reporter or Reporter(), checkpoint)
    )
    images = {features.TRAIN: len(data.train), features.VAL: len(data.val)}
    return Trained(classifier, data.labels, image_size, images, results)


def build_classifier(
    labels: list[str], config: TrainConfig, image_size: int, base_model: str | None = None
) -> Classifier:
    """Builds backbone and head, with the weights that training begins from.

    Raises:
        ConfigError, InputError: the backbone or its weights can't be had as configured.
    """
    warm = config.warm_start == "serving"
    if not warm or not warm_start.exists(base_model):
        if warm:
            run_events.warn("no model serves yet to begin from: trainer.weights are taken")
        backbone = build_backbone(config.backbone, config.weights, image_size)
        return Classifier(backbone, len(labels), config.dropout)
    backbone = build_backbone(config.backbone, "none", image_size)
    classifier = Classifier(backbone, len(labels), config.dropout)
    warm_start.begin_from(classifier.network, labels, str(base_model))
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


def _checkpoint_folder(fn_args: Any, data: Data) -> Path:
    """A folder for this very training: TFX gives a node that is run again other ones."""
    settings = {key: str(value) for key, value in fn_args.custom_config.items()}
    facts = [settings, data.labels, str(fn_args.base_model)]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for index in (data.train, data.val):
        digest.update("\n".join(index.files).encode())
        for array in (index.rows, index.labels, index.image_keys):
            digest.update(array.tobytes())
    return Path(fn_args.custom_config["checkpoints"]) / digest.hexdigest()[:32]


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
        "stages": [
            {
                **result.stage.model_dump(),
                "best_epoch": result.best_epoch + 1,
                "cache_seconds": round(result.cache_seconds, 1),
                "seconds": round(result.seconds, 1),
                "history": [asdict(epoch) for epoch in result.epochs],
            }
            for result in trained.results
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
