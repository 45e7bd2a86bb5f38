"""What the Evaluator tells of a candidate's answers, beside the gate's verdict."""

import numpy as np
import pytest

from components.evaluator.config import RuleConfig
from components.evaluator.evaluation_part import evaluation_part
from components.evaluator.metrics import measure
from components.run_report.parts import EvaluationPart
from tests.components.evaluator.answers import certain_answers, predictions, random_answers

CLASSES = ("hat", "dress", "<b>")
LABELS = ["hat"] * 6 + ["dress"] * 3 + ["<b>"]
GIVEN = ["hat"] * 4 + ["dress"] * 2 + ["dress"] * 3 + ["hat"]


def told(labels, answers) -> EvaluationPart:
    """As it is read again."""
    part = evaluation_part(predictions(labels, answers))
    read = EvaluationPart.parse(part.model_dump_json())
    assert read is not None
    return read


def test_numbers_are_those_of_the_answers():
    part = told(LABELS, certain_answers(CLASSES, LABELS, GIVEN))
    assert (part.images, part.unknown_images, part.accuracy) == (10, 0, 0.7)
    assert part.accuracy_interval == pytest.approx((0.397, 0.892), abs=1e-3)  # Wilson 1927
    hat, dress, b = part.by_class
    assert (hat.label, hat.images, hat.precision, hat.recall) == ("hat", 6, 0.8, 4 / 6)
    assert (dress.label, dress.images, dress.precision, dress.recall) == ("dress", 3, 0.6, 1.0)
    assert (b.label, b.images, b.precision, b.recall, b.f1) == ("<b>", 1, None, 0.0, 0.0)
    assert part.confusion.classes == CLASSES
    assert part.confusion.counts == ((4, 2, 0), (0, 3, 0), (1, 0, 0))
    assert part.confusion.pairs == (("hat", "dress", 2), ("<b>", "hat", 1))


def test_bins_are_those_of_the_rules_calibration_error():
    labels = [CLASSES[number % 3] for number in range(200)]
    answers = random_answers(CLASSES, labels, seed=3)
    part = told(labels, answers)
    rule = RuleConfig(metric="expected_calibration_error", max=1)
    assert part.expected_calibration_error == pytest.approx(measure(answers, rule, None))
    assert sum(found.images for found in part.reliability) == 200
    off = sum(
        abs(found.confidence - found.accuracy) * found.images
        for found in part.reliability
        if found.images
    )
    assert off / 200 == pytest.approx(part.expected_calibration_error)
    for found in part.reliability:
        assert found.images == 0 or found.low < found.confidence <= found.high


def test_mistakes_and_hesitant_answers_come_by_their_scores():
    labels = [CLASSES[number % 3] for number in range(200)]
    answers = random_answers(CLASSES, labels, seed=3)
    part = told(labels, answers)
    scores = answers.probabilities.max(axis=1)
    assert [one.score for one in part.mistakes] == pytest.approx(
        sorted(scores[~answers.right], reverse=True)[:16]
    )
    assert [one.score for one in part.hesitant] == pytest.approx(sorted(scores[answers.right])[:12])
    for one in part.mistakes:
        row = int(one.image.id)
        assert one.image.label == labels[row] != one.predicted
        assert one.label_probability == pytest.approx(
            answers.probabilities[row, answers.labels[row]]
        )
        assert one.top[0] == (one.predicted, one.score)
        assert sum(share for _, share in one.top) == pytest.approx(1)
    right = [one.image.label == one.predicted for one in part.explained]
    assert right == [False] * 4 + [True] * 4
    assert {one.image.label for one in part.explained[:4]} == set(CLASSES)
    assert {one.image.label for one in part.explained[4:]} == set(CLASSES)


def test_images_of_unknown_classes_are_mistakes_and_count_nowhere_else():
    labels = ["scarf", *LABELS]
    part = told(labels, certain_answers(CLASSES, labels, ["hat", *GIVEN]))
    assert (part.images, part.unknown_images, part.accuracy) == (10, 1, 0.7)
    assert part.mistakes[0].image.label == "scarf"
    assert part.mistakes[0].label_probability is None
    assert "scarf" not in {one.label for one in part.by_class}
    assert part.label_issues.judged == 10


def test_answers_that_are_no_numbers_are_not_shown():
    answers = certain_answers(CLASSES, LABELS, GIVEN)
    answers.probabilities[4] = np.nan
    part = told(LABELS, answers)
    assert part.accuracy == 0.7
    assert "0004" not in {one.image.id for one in part.mistakes}
    assert sum(found.images for found in part.reliability) == 9
    answers.probabilities[:] = np.nan
    nothing = told(LABELS, answers)
    assert (nothing.mistakes, nothing.explained) == ((), ())
    assert nothing.expected_calibration_error is None


def test_an_answer_that_is_no_class_is_never_right():
    labels = ["scarf", *LABELS]
    answers = certain_answers(CLASSES, labels, ["hat", *GIVEN])
    answers.predicted[:2] = -1
    part = told(labels, answers)
    assert part.accuracy == 0.6
    assert sum(map(sum, part.confusion.counts)) == 9
    assert not {"0000", "0001"} & {one.image.id for one in (*part.mistakes, *part.hesitant)}


def test_no_image_of_a_known_class_is_no_error():
    labels = ["scarf", "scarf"]
    part = told(labels, random_answers(CLASSES, labels, seed=1))
    assert (part.images, part.unknown_images, part.accuracy_interval) == (0, 2, None)
    assert part.confusion is None
    assert len(part.mistakes) == 2


def test_many_classes_tell_their_most_frequent_mistakes_only():
    classes = tuple(f"class {number}" for number in range(41))
    labels = [classes[number % 41] for number in range(410)]
    given = [classes[0] if number % 2 else label for number, label in enumerate(labels)]
    part = told(labels, certain_answers(classes, labels, given))
    assert part.confusion.counts is None
    assert len(part.confusion.pairs) == 40
    assert part.confusion.pairs[0] == ("class 1", "class 0", 5)
    assert len(part.by_class) == 41


def test_swapped_labels_are_told():
    labels = [CLASSES[number % 3] for number in range(120)]
    answers = random_answers(CLASSES, labels, seed=5, sharpness=6.0)
    labels[7] = CLASSES[(CLASSES.index(labels[7]) + 1) % 3]
    answers.labels[7] = CLASSES.index(labels[7])
    (first, *_) = told(labels, answers).label_issues.shown
    assert (first.image.id, first.image.split) == ("0007", "test")
