"""The stages of fine-tuning, one after the other, from wherever an earlier try was stopped."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

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
    saved = checkpoint.load() if checkpoint else None
    results = [StageResult.of(facts) for facts in saved.facts["stages"]] if saved else []
    for number, result in enumerate(results):
        for position, epoch in enumerate(result.epochs):
            reporter.log(number, result.stage, position, epoch)
        yield result
    if saved:
        assign(classifier.network.variables, saved.arrays["network"])
    for number, stage in list(enumerate(config.stages))[len(results) :]:
        started = time.monotonic()
        cut = config.trained_blocks(stage)
        classifier.train_only_above(cut)
        train, val = source.at(stage)
        cached = time.monotonic()
        trainer = StageTrainer(classifier.upper(cut), number, config, train, val, replicas)
        if saved and "epochs" in saved.facts:
            _restore(trainer, saved)
            for position, epoch in enumerate(trainer.epochs):
                reporter.log(number, stage, position, epoch)
        saved = None
        for epoch in trainer.run():
            reporter.epoch(number, stage, len(trainer.epochs) - 1, epoch)
            if checkpoint:
                _save(checkpoint, classifier, results, trainer)
        trainer.keep_best()
        results.append(
            StageResult(
                stage,
                tuple(trainer.epochs),
                trainer.best_epoch,
                cached - started,
                time.monotonic() - cached,
            )
        )
        if checkpoint:
            _save(checkpoint, classifier, results)
        # Before the next stage computes its own: two caches at once would double the memory.
        trainer.release()
        del trainer, train, val
        yield results[-1]
        if stage.train == "all":
            source.forget()


def _save(
    checkpoint: Checkpoint,
    classifier: Classifier,
    results: list[StageResult],
    trainer: StageTrainer | None = None,
) -> None:
    """Saves what has ended, and how far the stage at work, if there is one, has come."""
    facts: dict[str, Any] = {"stages": [result.facts() for result in results]}
    # Dropout's random state, too.
    arrays = {"network": values(classifier.network.variables)}
    if trainer is not None:
        facts["epochs"] = [asdict(epoch) for epoch in trainer.epochs]
        facts["best_epoch"] = trainer.best_epoch
        arrays["optimizer"] = values(trainer.optimizer.variables)
        arrays["best"] = trainer.best_weights
    checkpoint.save(facts, arrays)


def _restore(trainer: StageTrainer, saved: Saved) -> None:
    trainer.epochs = [Epoch.of(epoch) for epoch in saved.facts["epochs"]]
    trainer.best_epoch = saved.facts["best_epoch"]
    trainer.best_weights = saved.arrays["best"]
    assign(trainer.optimizer.variables, saved.arrays["optimizer"])
