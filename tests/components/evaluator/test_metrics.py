"""Each metric beside scikit-learn's, or beside its definition, on the same answers."""

import numpy as np
import pytest
from sklearn import metrics as sk

from components.evaluator.config import METRICS, RuleConfig
from components.evaluator.metrics import (
    NotComputableError,
    expected_calibration_error,
    measure,
)
from tests.components.evaluator.answers import certain_answers, random_answers

CLASSES = ("mild", "none", "severe")
GRADES = ("none", "mild", "severe")
LABELS = [CLASSES[number % 3] for number in range(50)]
ANSWERS = random_answers(CLASSES, LABELS, seed=1)
TRUE = ANSWERS.labels
GIVEN = ANSWERS.probabilities.argmax(axis=1)


def rule(metric: str, **more: object) -> RuleConfig:
    return RuleConfig(metric=metric, min=0, **more)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (rule("accuracy"), (TRUE == GIVEN).mean()),
        (rule("balanced_accuracy"), sk.recall_score(TRUE, GIVEN, average="macro")),
        (rule("macro_f1"), sk.f1_score(TRUE, GIVEN, average="macro")),
        (rule("precision", of_class="none"), sk.precision_score(TRUE, GIVEN, average=None)[1]),
        (rule("recall", of_class="severe"), sk.recall_score(TRUE, GIVEN, average=None)[2]),
        (rule("auc"), sk.roc_auc_score(TRUE, ANSWERS.probabilities, multi_class="ovr")),
        (
            rule("top_k_accuracy", k=2),
            np.mean(
                [
                    label in np.argsort(p)[-2:]
                    for label, p in zip(TRUE, ANSWERS.probabilities, strict=True)
                ]
            ),
        ),
        (rule("log_loss"), -np.log(ANSWERS.probabilities[np.arange(50), TRUE]).mean()),
    ],
    ids=lambda value: value.metric if isinstance(value, RuleConfig) else None,
)
def test_a_metric_is_what_its_name_says(asked: RuleConfig, expected: float) -> None:
    assert measure(ANSWERS, asked, None) == pytest.approx(expected, abs=1e-12)


def test_kappa_goes_by_the_order_of_the_grades_not_of_their_names() -> None:
    weights = np.array([[(a - b) ** 2 for b in range(3)] for a in range(3)])
    grade = np.array([GRADES.index(name) for name in CLASSES])
    observed = sk.confusion_matrix(grade[TRUE], grade[GIVEN])
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / observed.sum()
    kappa = 1 - (weights * observed).sum() / (weights * expected).sum()
    found = measure(ANSWERS, rule("quadratic_weighted_kappa"), GRADES)
    assert found == pytest.approx(kappa)
    assert found != pytest.approx(measure(ANSWERS, rule("quadratic_weighted_kappa"), CLASSES))


def test_a_grade_without_images_still_counts_as_a_step_between_others() -> None:
    """Nothing is graded 1: between 0 and 2 lie two steps all the same."""
    grades = ("0", "1", "2", "3")
    labels, given = ["0", "0", "2", "3", "3"], ["0", "2", "2", "3", "2"]
    true, answered = np.array(labels, float), np.array(given, float)
    by_chance = (true[:, None] - answered[None, :]) ** 2
    kappa = 1 - ((true - answered) ** 2).mean() / by_chance.mean()
    answers = certain_answers(grades, labels, given)
    assert measure(answers, rule("quadratic_weighted_kappa"), grades) == pytest.approx(kappa)


def test_calibration_error_weighs_the_bins_by_their_images() -> None:
    """Three images at 0.95, two of them right, and one at 0.55 that is wrong."""
    right, confidence = np.array([1, 1, 0, 0], bool), np.array([0.95, 0.95, 0.95, 0.55])
    expected = 0.75 * abs(2 / 3 - 0.95) + 0.25 * 0.55
    assert expected_calibration_error(right, confidence) == pytest.approx(expected)
    assert expected_calibration_error(np.ones(5, bool), np.ones(5)) == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (rule("auc"), "of one class"),
        (rule("precision", of_class="severe"), "never answered 'severe'"),
        (rule("recall", of_class="severe"), "no test image is of class 'severe'"),
        (rule("recall", of_class="hat"), "knows no class 'hat'"),
        (rule("top_k_accuracy", k=3), "no answer could be wrong"),
        (rule("quadratic_weighted_kappa"), "lacks the class 'severe'"),
    ],
)
def test_what_can_t_be_computed_says_why(asked: RuleConfig, said: str) -> None:
    labels = ["none"] * 4
    answers = certain_answers(CLASSES, labels, ["none", "none", "mild", "none"])
    with pytest.raises(NotComputableError, match=said):
        measure(answers, asked, ("none", "mild"))


def test_of_one_class_there_is_no_loss() -> None:
    with pytest.raises(NotComputableError, match="one class only"):
        measure(certain_answers(("none",), ["none"], ["none"]), rule("log_loss"), None)


def test_a_label_that_is_no_class_has_no_grade() -> None:
    labels = ["none"] * 4
    answers = certain_answers(CLASSES, labels, labels)
    answers.predicted[0] = -1
    with pytest.raises(NotComputableError, match="none of its classes"):
        measure(answers, rule("quadratic_weighted_kappa"), GRADES)


@pytest.mark.parametrize("name", METRICS)
def test_no_images_have_no_metric(name: str) -> None:
    more = {"of_class": "none"} if name in ("precision", "recall") else {}
    nothing = ANSWERS[np.zeros(50, bool)]
    with pytest.raises(NotComputableError, match="no test image belongs to this slice"):
        measure(nothing, rule(name, **more), GRADES)
