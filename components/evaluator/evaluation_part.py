"""What the candidate answered to the test images, for the report."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import stats
from sklearn import metrics as sk

from components import features
from components.evaluator.metrics import BINS, confidence_bins, expected_calibration_error
from components.evaluator.predictions import Answers, Predictions
from components.run_report.label_issues import find_label_issues
from components.run_report.parts import (
    Answer,
    ClassMetrics,
    Confusion,
    EvaluationPart,
    ReliabilityBin,
    Thumbnail,
)

_MISTAKES, _HESITANT = 16, 12
_EXPLAINED = 4  # right ones, and as many wrong ones
_MATRIX_CLASSES = 40  # more can't be read
_PAIRS = 50
_TOP = 5


def evaluation_part(predictions: Predictions) -> EvaluationPart:
    """Returns what there is to tell of the candidate's answers; no pictures yet."""
    answers = predictions.candidate
    known = answers.known
    right = answers.right & known
    images, correct = int(known.sum()), int(right.sum())
    finite = np.isfinite(answers.probabilities).all(axis=1)
    confidence = answers.probabilities.max(axis=1)[known & finite]
    judged_right = right[known & finite]
    mistakes, sure = _ranked(answers, finite)
    labels = predictions.columns[features.LABEL]

    def told(rows: Iterable[int]) -> tuple[Answer, ...]:
        return tuple(_answer(predictions, row) for row in rows)

    return EvaluationPart(
        images=images,
        unknown_images=len(predictions.ids) - images,
        accuracy=correct / images if images else 0.0,
        accuracy_interval=_interval(correct, images) if images else None,
        by_class=tuple(_by_class(answers, known)),
        confusion=_confusion(answers, known),
        reliability=tuple(_reliability(judged_right, confidence)),
        expected_calibration_error=(
            expected_calibration_error(judged_right, confidence) if len(confidence) else None
        ),
        mistakes=told(mistakes[:_MISTAKES]),
        hesitant=told(sure[::-1][:_HESITANT]),
        explained=told(_varied(mistakes, labels) + _varied(sure, labels)),
        label_issues=find_label_issues(
            predictions.ids,
            list(labels),
            answers.probabilities,
            answers.classes,
            method="what the candidate answers to images that it has not learnt from",
            splits=[features.TEST] * len(labels),
        ),
    )


def _interval(right: int, images: int) -> tuple[float, float]:
    found = stats.binomtest(right, images).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def _by_class(answers: Answers, known: np.ndarray) -> list[ClassMetrics]:
    indices = np.arange(len(answers.classes))
    precision, recall, f1, images = sk.precision_recall_fscore_support(
        answers.labels[known], answers.predicted[known], labels=indices, zero_division=np.nan
    )
    order = sorted(indices, key=lambda index: (-images[index], answers.classes[index]))
    return [
        ClassMetrics(
            label=answers.classes[index],
            images=images[index],
            precision=_number(precision[index]),
            recall=_number(recall[index]),
            f1=_number(f1[index]),
        )
        for index in order
    ]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _confusion(answers: Answers, known: np.ndarray) -> Confusion | None:
    """The whole matrix of few classes; None where no image is of any of them."""
    if not known.any():
        return None
    names = answers.classes
    counts = sk.confusion_matrix(
        answers.labels[known], answers.predicted[known], labels=np.arange(len(names))
    )
    wrong = counts - np.diag(np.diag(counts))
    frequent = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
    pairs = [(at, given, int(wrong[at, given])) for at, given in _places(frequent, wrong.shape)]
    return Confusion(
        classes=names,
        counts=counts.tolist() if len(names) <= _MATRIX_CLASSES else None,
        pairs=tuple((names[at], names[given], count) for at, given, count in pairs if count),
    )


def _places(flat: np.ndarray, shape: tuple[int, ...]) -> Iterable[tuple[int, int]]:
    return zip(*np.unravel_index(flat, shape), strict=True)


def _reliability(right: np.ndarray, confidence: np.ndarray) -> list[ReliabilityBin]:
    bins = confidence_bins(confidence)
    images, confident, correct = (
        np.bincount(bins, weights, BINS) for weights in (None, confidence, right)
    )
    return [
        ReliabilityBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            images=images[number],
            confidence=confident[number] / images[number] if images[number] else None,
            accuracy=correct[number] / images[number] if images[number] else None,
        )
        for number in range(BINS)
    ]


def _ranked(answers: Answers, finite: np.ndarray) -> tuple[list[int], list[int]]:
    """Returns the images that are answered wrongly, and rightly, the surest first."""
    rows = np.flatnonzero(finite & (answers.predicted >= 0))
    scores = answers.probabilities[rows, answers.predicted[rows]]
    surest = rows[np.argsort(-scores, kind="stable")]
    right = answers.right[surest]
    return surest[~right].tolist(), surest[right].tolist()


def _varied(rows: Sequence[int], labels: np.ndarray) -> list[int]:
    """The first of each class, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    rounds = {}
    for row in rows:
        rounds[row] = seen[labels[row]]
        seen[labels[row]] += 1
    return sorted(rows, key=rounds.__getitem__)[:_EXPLAINED]


def _answer(predictions: Predictions, row: int) -> Answer:
    answers = predictions.candidate
    probabilities, label = answers.probabilities[row], answers.labels[row]
    top = np.argsort(-probabilities, kind="stable")[:_TOP]
    return Answer(
        image=Thumbnail(
            id=predictions.ids[row],
            label=predictions.columns[features.LABEL][row],
            split=features.TEST,
        ),
        predicted=answers.classes[answers.predicted[row]],
        score=probabilities[answers.predicted[row]],
        label_probability=probabilities[label] if label >= 0 else None,
        top=tuple((answers.classes[index], float(probabilities[index])) for index in top),
    )
