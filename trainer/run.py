"""The Trainer's entry point."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components import features
from components.run_report.parts import tried
from trainer.checkpoints import checkpoint_at
from trainer.config import TrainConfig
from trainer.devices import Replicas, is_chief, make_strategy
from trainer.report import training_part
from trainer.results import Reporter
from trainer.signatures import ServingModule, export
from trainer.task import Data, Task, read_data
from trainer.training import Trained, train

LOGS_FOLDER = "logs"


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
    checkpoint = checkpoint_at(task.checkpoint_folder(data), writable=is_chief())
    trained = train(data, task.config, task.base_model, reporter, checkpoint, replicas)
    if not is_chief():
        # TFX's Trainer wants each process to have left this.
        Path(fn_args.serving_model_dir).mkdir(parents=True, exist_ok=True)
        return
    network = trained.classifier.network
    module = ServingModule(network, data.labels, data.train.image_size, task.transform.resize)
    export(module, fn_args.serving_model_dir)
    _write_facts(Path(fn_args.serving_model_dir), _facts(trained, task.config, data))
    tried(
        "the report lacks the training",
        lambda: training_part(trained, data, task.config, task.base_model).leave(
            fn_args.model_run_dir
        ),
        None,
    )
    checkpoint.clear()


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
