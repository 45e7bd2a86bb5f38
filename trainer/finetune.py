"""The stages of fine-tuning, one after the other, from wherever an earlier try was stopped."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import keras

from trainer.activation_source import ActivationSource
from trainer.checkpoints import Checkpoint, Saved
from trainer.config import TrainConfig
from trainer.devices import Replicas
from trainer.model import Classifier
from trainer.results import Epoch, Reporter, StageResult
from trainer.stage import StageTrainer
from trainer.variables import assign, values


def finetune(
    classifier: Classifier,
    source: ActivationSource,
    config: TrainConfig,
    replicas: Replicas,
    reporter: Reporter,
    checkpoint: Checkpoint | None = None,
) -> Iterator[StageResult]:
    """Runs the stages; each leaves its best epoch's weights in the classifier.

    Args:
        classifier: trained in place, stage by stage, as the results are asked for.
        source: of the activations that each stage trains on.
        config: the stages and what they share.
        replicas: the devices that the classifier was made for.
        reporter: is told each epoch.
        checkpoint: written after each epoch. If there is one already, training goes on from it,
            and ends, on a CPU, with the same model as if it had never stopped.

    Yields:
        The result of each stage, also of those that had ended before the interruption.

    Raises:
        InputError: a loss is not finite.
        OSError: activations or checkpoints don't fit on the disk.
    """
    run = _FineTuning(classifier, source, config, replicas, reporter, checkpoint)
    yield from run.resume()
    for number in range(len(run.results), len(config.stages)):
        yield run.stage(number)


@dataclass
class _FineTuning:
    """One training, and how far it has come."""

    classifier: Classifier
    source: ActivationSource
    config: TrainConfig
    replicas: Replicas
    reporter: Reporter
    checkpoint: Checkpoint | None
    results: list[StageResult] = field(default_factory=list)
    saved: Saved | None = None

    def resume(self) -> list[StageResult]:
        """Takes up the checkpoint, if there is one; returns the stages that had ended."""
        self.saved = self.checkpoint.load() if self.checkpoint else None
        if self.saved:
            self.results = [StageResult.of(facts) for facts in self.saved.facts["stages"]]
            begun = len(self.results) + ("epochs" in self.saved.facts)
            assign(self._trained(begun), self.saved.arrays["network"])
        for number, result in enumerate(self.results):
            self._log(number, result.epochs)
        return list(self.results)

    def stage(self, number: int) -> StageResult:
        """Runs one stage, from where it was interrupted."""
        started = time.monotonic()
        stage = self.config.stages[number]
        cut = self.config.trained_blocks(stage)
        self.classifier.train_only_above(cut)
        train, val = self.source.at(stage)
        cached = time.monotonic()
        upper = self.classifier.upper(cut)
        trainer = StageTrainer(upper, number, self.config, train, val, self.replicas)
        self._restore(number, trainer)
        for epoch in trainer.run():
            self.reporter.epoch(number, stage, len(trainer.epochs) - 1, epoch)
            self._save(trainer)
        trainer.keep_best()
        # Before the next stage computes its own: two caches at once would double the memory.
        trainer.release()
        if stage.train == "all":
            self.source.forget()
        times = (cached - started, time.monotonic() - cached)
        result = StageResult(stage, tuple(trainer.epochs), trainer.best_epoch, *times)
        self.results.append(result)
        self._save()
        return result

    def _restore(self, number: int, trainer: StageTrainer) -> None:
        saved, self.saved = self.saved, None
        if saved is None or "epochs" not in saved.facts:
            return
        trainer.epochs = [Epoch.of(epoch) for epoch in saved.facts["epochs"]]
        trainer.best_epoch = saved.facts["best_epoch"]
        trainer.best_weights = saved.arrays["best"]
        assign(trainer.optimizer.variables, saved.arrays["optimizer"])
        self._log(number, trainer.epochs)

    def _log(self, number: int, epochs: Sequence[Epoch]) -> None:
        for position, epoch in enumerate(epochs):
            self.reporter.log(number, self.config.stages[number], position, epoch)

    def _save(self, trainer: StageTrainer | None = None) -> None:
        """Saves what has ended, and how far the stage at work, if there is one, has come."""
        if self.checkpoint is None:
            return
        facts: dict[str, Any] = {"stages": [result.facts() for result in self.results]}
        begun = len(self.results) + (trainer is not None)
        arrays = {"network": values(self._trained(begun))}
        if trainer is not None:
            facts["epochs"] = [asdict(epoch) for epoch in trainer.epochs]
            facts["best_epoch"] = trainer.best_epoch
            arrays["optimizer"] = values(trainer.optimizer.variables)
            arrays["best"] = trainer.best_weights
        self.checkpoint.save(facts, arrays)

    def _trained(self, stages: int) -> list[keras.Variable]:
        """What the first stages may have changed: nothing below their lowest cut.

        Dropout's random state is among it. The rest is as it was built, by the same settings, but
        for random weights: JAX draws others than TensorFlow.
        """
        if self.config.weights == "none":
            return self.classifier.network.variables
        cuts = [self.config.trained_blocks(stage) for stage in self.config.stages[:stages]]
        return self.classifier.upper(max(cuts)).variables
