"""What a rule can judge, of one model's answers: scikit-learn's metrics by the rules' names."""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from sklearn import metrics as sk

from components.evaluator.config import RuleConfig
from components.evaluator.predictions import Answers

BINS = 15  # of confidence


class NotComputableError(Exception):
    """The images at hand do not have what a metric needs; the message says what."""


# Answers of images whose class is known, the rule, and all classes from the least to the greatest.
_Metric = Callable[[Answers, RuleConfig, tuple[str, ...] | None], float]


def measure(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    """Computes a rule's metric.

    Args:
        answers: to images of classes that the model knows.
        rule: names the metric.
        order: all classes from the least to the greatest, if they have an order.

    Raises:
        NotComputableError: it has no value on these images.
    """
    if not len(answers.labels):
        raise NotComputableError("no test image belongs to this slice")
    if not np.isfinite(answers.probabilities).all():
        raise NotComputableError("the model answers with numbers that are not finite")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes without images, which is no reason to tell
        return float(_METRICS[rule.metric](answers, rule, order))


def _accuracy(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    return sk.accuracy_score(answers.labels, answers.predicted)


def _balanced_accuracy(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    return sk.balanced_accuracy_score(answers.labels, answers.predicted)


def _macro_f1(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    """Over the classes that have images here or were answered."""
    return sk.f1_score(answers.labels, answers.predicted, average="macro", zero_division=0)


def _precision(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    one, predicted = _class_index(answers, rule), answers.predicted
    if not (predicted == one).any():
        raise NotComputableError(f"the model never answered '{rule.of_class}'")
    return sk.precision_score(answers.labels == one, predicted == one)


def _recall(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    one = _class_index(answers, rule)
    if not (answers.labels == one).any():
        raise NotComputableError(f"no test image is of class '{rule.of_class}'")
    return sk.recall_score(answers.labels == one, answers.predicted == one)


def _auc(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    """Mean over the classes that have images here, as far as there are others beside them."""
    present = np.unique(answers.labels)
    if len(present) < 2:
        raise NotComputableError("all these images are of one class")
    return np.mean(
        [sk.roc_auc_score(answers.labels == one, answers.probabilities[:, one]) for one in present]
    )


def _top_k_accuracy(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    if rule.k >= len(answers.classes):
        raise NotComputableError(
            f"k is {rule.k} of {len(answers.classes)} classes, so no answer could be wrong"
        )
    return sk.top_k_accuracy_score(
        answers.labels, answers.probabilities, k=rule.k, labels=_indices(answers)
    )


def _log_loss(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    if len(answers.classes) < 2:
        raise NotComputableError("the model knows one class only")
    return sk.log_loss(answers.labels, answers.probabilities, labels=_indices(answers))


def expected_calibration_error(right: np.ndarray, confidence: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over equal bins of confidence, by images.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599.

    Args:
        right: bool [images], whether the predicted class is the true one.
        confidence: [images], its probability.
    """
    bins = confidence_bins(confidence)
    surplus = np.bincount(bins, confidence, BINS) - np.bincount(bins, right, BINS)
    return float(np.abs(surplus).sum() / len(right))


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """Returns int [images]: in which of `BINS` equal bins, open below as in the paper, each is."""
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def _calibration(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    return expected_calibration_error(answers.right, answers.probabilities.max(axis=1))


def _kappa(answers: Answers, rule: RuleConfig, order: tuple[str, ...] | None) -> float:
    order = order or ()
    missing = [name for name in answers.classes if name not in order]
    if missing:
        raise NotComputableError(f"gate.class_order lacks the class '{missing[0]}'")
    if (answers.predicted < 0).any():
        raise NotComputableError("the model answers with a label that is none of its classes")
    grades = np.array([order.index(name) for name in answers.classes])
    value = sk.cohen_kappa_score(
        grades[answers.labels],
        grades[answers.predicted],
        weights="quadratic",
        labels=np.arange(len(order)),
    )
    if np.isnan(value):
        raise NotComputableError("all these images are of one class, and all answers, too")
    return value


_METRICS: Mapping[str, _Metric] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "precision": _precision,
    "recall": _recall,
    "auc": _auc,
    "top_k_accuracy": _top_k_accuracy,
    "log_loss": _log_loss,
    "expected_calibration_error": _calibration,
    "quadratic_weighted_kappa": _kappa,
}


def _indices(answers: Answers) -> np.ndarray:
    return np.arange(len(answers.classes))


def _class_index(answers: Answers, rule: RuleConfig) -> int:
    if rule.of_class not in answers.classes:
        raise NotComputableError(f"the model knows no class '{rule.of_class}'")
    return answers.classes.index(rule.of_class)
