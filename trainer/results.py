"""What training did, epoch by epoch: plain values that a run keeps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import tensorflow as tf

from components import run_events
from trainer.config import StageConfig


@dataclass(frozen=True)
class Metrics:
    """Means over a split: the loss that was trained, and the share of images that was right."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images."""

    train: Metrics
    val: Metrics

    @classmethod
    def of(cls, facts: Mapping[str, Mapping[str, float]]) -> Self:
        """Reads what `dataclasses.asdict` made."""
        return cls(Metrics(**facts["train"]), Metrics(**facts["val"]))


@dataclass(frozen=True)
class StageResult:
    """What a stage did.

    Attributes:
        stage: its settings.
        epochs: those that ran.
        best_epoch: from 0, the one whose weights it ended with.
        cache_seconds: time that went into activations; of a resumed stage, since then.
        seconds: time that went into training; likewise.
    """

    stage: StageConfig
    epochs: tuple[Epoch, ...]
    best_epoch: int
    cache_seconds: float
    seconds: float

    def facts(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        return {**asdict(self), "stage": self.stage.model_dump(mode="json")}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Reads what `facts` made."""
        read = {
            "stage": StageConfig.parse(facts["stage"]),
            "epochs": tuple(Epoch.of(epoch) for epoch in facts["epochs"]),
        }
        return cls(**{**facts, **read})


class Reporter:
    """Tells each epoch to whoever watches the run, and to TensorBoard."""

    def __init__(self, logs: Path | None = None) -> None:
        """Takes the folder of TensorBoard's logs; None for none."""
        self._logs = logs

    def epoch(self, stage_number: int, stage: StageConfig, number: int, epoch: Epoch) -> None:
        """Tells one finished epoch; stages and epochs are counted from 0."""
        run_events.record(
            "epoch",
            stage=stage.train,
            epoch=number + 1,
            epochs=stage.epochs,
            loss=epoch.train.loss,
            accuracy=epoch.train.accuracy,
            val_loss=epoch.val.loss,
            val_accuracy=epoch.val.accuracy,
        )
        self.log(stage_number, stage, number, epoch)

    def log(self, stage_number: int, stage: StageConfig, number: int, epoch: Epoch) -> None:
        """Tells TensorBoard alone: of an epoch that an earlier process has trained."""
        if self._logs is None:
            return
        for split, metrics in (("train", epoch.train), ("val", epoch.val)):
            folder = self._logs / f"{stage_number}-{stage.train}" / split
            # Opened anew each time, so that a killed run leaves whole files.
            with tf.summary.create_file_writer(str(folder)).as_default(step=number + 1):
                for name, value in asdict(metrics).items():
                    tf.summary.scalar(name, value)
