"""Predictions made up for tests of the gate."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from components import features
from components.evaluator.predictions import Answers, Predictions


def random_answers(
    classes: Sequence[str], labels: Sequence[str], seed: int, sharpness: float = 2.0
) -> Answers:
    """Softmax of noise that leans to the true class."""
    indices = np.array([classes.index(label) if label in classes else -1 for label in labels])
    logits = np.random.default_rng(seed).normal(size=(len(labels), len(classes)))
    known = np.flatnonzero(indices >= 0)
    logits[known, indices[known]] += sharpness
    odds = np.exp(logits)
    return Answers(
        tuple(classes), odds / odds.sum(axis=1, keepdims=True), odds.argmax(axis=1), indices
    )


def certain_answers(classes: Sequence[str], labels: Sequence[str], given: Sequence[str]) -> Answers:
    """One class given to each image with certainty."""
    predicted = np.array([classes.index(name) for name in given])
    indices = np.array([classes.index(label) if label in classes else -1 for label in labels])
    return Answers(tuple(classes), np.eye(len(classes))[predicted], predicted, indices)


def content_hash(number: int) -> str:
    """Of the image in this place."""
    return hashlib.sha256(f"{number}".encode()).hexdigest()


def predictions(
    labels: Sequence[str],
    candidate: Answers,
    baseline: Answers | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> Predictions:
    hashes = [content_hash(number) for number in range(len(labels))]
    texts = {features.LABEL: labels, features.CONTENT_HASH: hashes, **(columns or {})}
    return Predictions(
        tuple(f"{number:04}" for number in range(len(labels))),
        {name: np.array(values, object) for name, values in texts.items()},
        candidate,
        baseline,
    )
