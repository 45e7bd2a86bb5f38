"""The search through the family as a tuner of KerasTuner's, for TFX's Tuner."""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from keras_tuner.engine import base_tuner
from keras_tuner.engine.trial import TrialStatus
from tfx.components.tuner.component import TunerFnResult

from components import run_events
from components.errors import InputError
from trainer.checkpoints import Checkpoint, checkpoint_at
from trainer.config import TrainConfig
from trainer.devices import Replicas, make_strategy
from trainer.search_plot import plot
from trainer.step_up import PLOT_FILE, TABLE_FILE, Trial, fits, reason_to_stop
from trainer.task import Data, Task, read_data
from trainer.training import train

_SCORE = "val_accuracy"
_TIMED_CALLS = 20


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """Prepares the search; called by TFX's Tuner.

    Args:
        fn_args: TFX's FnArgs, as `trainer.run.run_fn` takes them.

    Raises:
        DataError: the examples can't be trained on.
    """
    task = Task.of(fn_args)
    replicas = Replicas(make_strategy(task.config.hardware))
    tuner = FamilyTuner(task, read_data(fn_args), replicas, fn_args.working_dir)
    return TunerFnResult(tuner, {})


class StepUp(keras_tuner.Oracle):
    """Goes from the smallest member to larger ones while that pays.

    Attributes:
        tried: the trials so far, in order.
        stopped: why there are no more of them.
    """

    def __init__(self, config: TrainConfig) -> None:
        """Takes the search's settings."""
        self._search = config.search
        self._steps = self._search.steps()
        space = keras_tuner.HyperParameters()
        space.Choice("backbone", list(self._search.backbones))
        space.Choice("weights", list(self._search.weights))
        super().__init__(
            objective=keras_tuner.Objective(_SCORE, "max"),
            # One more than there are: it is for this class to say when it is over.
            max_trials=len(self._steps) + 1,
            hyperparameters=space,
            allow_new_entries=False,
            max_consecutive_failed_trials=len(self._steps) + 1,
        )
        self.tried: list[Trial] = []
        self.stopped = "every member was tried"

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the next member, or that the search is over."""
        if len(self.tried) == len(self._steps):
            return {"status": TrialStatus.STOPPED}
        backbone, weights = self._steps[len(self.tried)]
        # Also of trials that a search which was interrupted has made.
        elapsed = sum(trial.seconds for trial in self.tried)
        reason = reason_to_stop(self._search, self.tried, backbone, elapsed)
        if reason is not None:
            self.stopped = reason
            return {"status": TrialStatus.STOPPED}
        values = {"backbone": backbone, "weights": weights}
        return {"status": TrialStatus.RUNNING, "values": values}


class FamilyTuner(base_tuner.BaseTuner):
    """Trains each member as the Trainer would.

    What is best so far keeps its checkpoint: the Trainer finds it, and has nothing left to train.
    A search that was interrupted goes on from the trials that it has made.
    """

    def __init__(self, task: Task, data: Data, replicas: Replicas, working_dir: str) -> None:
        """Takes what the Trainer takes, too."""
        super().__init__(StepUp(task.config), directory=working_dir, project_name="search")
        self._task = task
        self._data = data
        self._replicas = replicas
        self._best: tuple[float, Checkpoint | None] = (-1.0, None)
        self._progress = checkpoint_at(task.search_folder(data))
        saved = self._progress.load()
        found = [Trial(**facts) for facts in saved.facts["trials"]] if saved else []
        self._known = {(trial.backbone, trial.weights): trial for trial in found}

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Trains one member; returns its val accuracy.

        Raises:
            keras_tuner.errors.FailedTrialError: its weights can't be had, or it can't be trained.
            keras_tuner.errors.FatalError: any other fault, which is no verdict on a member.
        """
        task = self._task.with_member(**trial.hyperparameters.values)
        config = task.config
        tried = Trial(config.backbone, config.weights, config.image_size or 0)
        known = self._known.get((config.backbone, config.weights))
        if known is not None:
            return self._judge(known, checkpoint_at(task.checkpoint_folder(self._data)))
        number, total = len(self.oracle.tried), self.oracle.max_trials - 1
        what = f"search: {config.backbone}, {config.weights};"
        run_events.record("progress", what=what, done=number, total=total)
        started = time.monotonic()
        try:
            found, checkpoint = self._measure(task, tried)
        except InputError as error:
            seconds = round(time.monotonic() - started, 1)
            self.oracle.tried.append(replace(tried, problem=str(error), seconds=seconds))
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        except Exception as error:
            # KerasTuner would go on with the next one.
            raise keras_tuner.errors.FatalError(str(error)) from error
        found = replace(found, seconds=round(time.monotonic() - started, 1))
        self._known[config.backbone, config.weights] = found
        self._progress.save({"trials": [asdict(trial) for trial in self._known.values()]}, {})
        return self._judge(found, checkpoint)

    def keep(self, folder: Path) -> None:
        """Writes table and plot.

        Raises:
            InputError: no member could be trained, or none is as fast as it must be.
        """
        tried = self.oracle.tried
        facts = {"stopped": self.oracle.stopped, "trials": [asdict(trial) for trial in tried]}
        text = json.dumps(facts, indent=2) + "\n"
        (folder / TABLE_FILE).write_text(text, encoding="utf-8")
        if not any(fits(self._task.config.search, trial) for trial in tried):
            run_dir = run_events.run_dir()
            if run_dir is not None:
                # TFX deletes the outputs of a node that fails, just when a person needs this one.
                (run_dir / TABLE_FILE).write_text(text, encoding="utf-8")
            problems = "; ".join(f"{t.backbone}: {t.problem or 'too slow'}" for t in tried)
            raise InputError(f"the search found no member that can be used: {problems}")
        plot(tried, folder / PLOT_FILE)

    def forget(self) -> None:
        """Removes what an interrupted search would go on from: all that it found is kept."""
        self._progress.clear()

    def _measure(self, task: Task, tried: Trial) -> tuple[Trial, Checkpoint]:
        checkpoint = checkpoint_at(task.checkpoint_folder(self._data))
        trained = train(self._data, task.config, task.base_model, None, checkpoint, self._replicas)
        result = trained.results[-1]
        epoch = result.epochs[result.best_epoch]
        network = trained.classifier.network
        found = replace(
            tried,
            parameters=round(network.count_params() / 1e6, 3),
            val_accuracy=epoch.val.accuracy,
            train_accuracy=epoch.train.accuracy,
            latency_ms=round(latency_ms(network), 2),
        )
        return found, checkpoint

    def _judge(self, trial: Trial, checkpoint: Checkpoint) -> dict[str, float]:
        """Tells KerasTuner of a trial; of the checkpoints, the best trial's stays."""
        self.oracle.tried.append(trial)
        score = _score(self._task.config, trial)
        best_score, best = self._best
        if score <= best_score:
            checkpoint.clear()
        else:
            self._best = (score, checkpoint)
            if best is not None:
                best.clear()
        return {_SCORE: score}


def latency_ms(network: keras.Model) -> float:
    """Returns the median time of the network for one image, compiled, in milliseconds."""
    image = tf.zeros((1, *network.input.shape[1:]))
    predict = tf.function(lambda pixels: network(pixels, training=False))
    predict(image)
    times = []
    for _ in range(_TIMED_CALLS):
        started = time.perf_counter()
        predict(image).numpy()
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def _score(config: TrainConfig, trial: Trial) -> float:
    """Val accuracy; 0 for a member that may not win."""
    return float(trial.val_accuracy or 0.0) if fits(config.search, trial) else 0.0
