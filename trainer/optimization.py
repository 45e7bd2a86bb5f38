"""What a stage makes small, and how: loss, class weights, order of images, optimizer."""

from typing import Any

import keras
import numpy as np

from trainer.config import LossConfig, StageConfig

_MOMENTUM = 0.9


class WeightedLoss:
    """Loss of each image: cross-entropy or focal, times the weight of its class."""

    def __init__(
        self, config: LossConfig, label_smoothing: float, labels: np.ndarray, classes: int
    ) -> None:
        """Takes the class indices of the train split, which balanced weights are made from."""
        smoothing = {"from_logits": True, "label_smoothing": label_smoothing, "reduction": None}
        if config.name == "focal":
            # Lin et al., arXiv 1708.02002; alpha, one factor for all classes, changes nothing.
            self._loss = keras.losses.CategoricalFocalCrossentropy(
                alpha=1.0, gamma=config.gamma, **smoothing
            )
        else:
            self._loss = keras.losses.CategoricalCrossentropy(**smoothing)
        weights = np.ones(classes)
        if config.class_weights == "balanced":
            weights = len(labels) / (classes * np.bincount(labels, minlength=classes))
        self._class_weights = weights.astype(np.float32)

    def __call__(self, targets: Any, logits: Any) -> Any:
        """Returns the losses [batch] of logits [batch, classes] for the classes' shares."""
        weights = keras.ops.matmul(targets, self._class_weights)
        return self._loss(targets, logits) * weights


def epoch_order(labels: np.ndarray, config: LossConfig, seed: tuple[int, ...]) -> np.ndarray:
    """Returns the rows of one epoch, int64 [images], in the order that they train in.

    Args:
        labels: class indices by row.
        config: balanced sampling draws with replacement, each class as often.
        seed: the same seed gives the same order.
    """
    numbers = np.random.default_rng(seed)
    if config.sampling == "uniform":
        return numbers.permutation(len(labels))
    counts = np.bincount(labels)
    shares = 1.0 / (np.count_nonzero(counts) * counts[labels])
    return numbers.choice(len(labels), len(labels), p=shares)


def make_optimizer(stage: StageConfig, steps: int) -> keras.optimizers.Optimizer:
    """Returns the stage's optimizer, its rate warmed up, then decayed along a cosine to 0.

    AdamW: Loshchilov and Hutter, arXiv 1711.05101; the cosine: the same, arXiv 1608.03983.

    Args:
        stage: its settings.
        steps: of the whole stage.
    """
    warmup_steps = round(steps * stage.warmup)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else stage.learning_rate,
        decay_steps=max(1, steps - warmup_steps),
        warmup_target=stage.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    common = {
        "learning_rate": schedule,
        "weight_decay": stage.weight_decay or None,
        "use_ema": stage.ema > 0,
        "ema_momentum": stage.ema or 0.99,
    }
    match stage.optimizer:
        case "sgd":
            optimizer = keras.optimizers.SGD(momentum=_MOMENTUM, nesterov=True, **common)
        case "adam":
            optimizer = keras.optimizers.Adam(**common)
        case "lion":
            optimizer = keras.optimizers.Lion(**common)
        case _:
            common["weight_decay"] = stage.weight_decay
            optimizer = keras.optimizers.AdamW(**common)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer
