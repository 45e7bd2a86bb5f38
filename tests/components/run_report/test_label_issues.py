"""Which labels are likely wrong, by a model's probabilities."""

import numpy as np
import pytest

from components.run_report.label_issues import SHOWN, find_label_issues, with_pictures

CLASSES = ("hat", "dress", "<b>", "never seen")


def answers(truth: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probabilities [images, 4] of a good model, which is more or less sure."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(truth), len(CLASSES)))
    logits[:, 3] = -9
    logits[np.arange(len(truth)), truth] += 6.0
    exponents = np.exp(logits)
    return exponents / exponents.sum(axis=1, keepdims=True)


def find(labels, probabilities, **given):
    ids = [f"{number:03}.jpg" for number in range(len(labels))]
    return find_label_issues(ids, labels, probabilities, CLASSES, method="test", **given)


def test_swapped_labels_are_found_and_few_others():
    truth = np.arange(300) % 3
    probabilities = answers(truth)
    swapped = range(0, 300, 16)
    labels = [CLASSES[(at + (row in swapped)) % 3] for row, at in enumerate(truth)]
    found = find(labels, probabilities, splits=["test"] * 300)
    wrong = {f"{row:03}.jpg" for row in swapped}
    assert found.judged == 300
    assert len(wrong & set(found.ids)) >= 17
    assert found.count == len(found.ids) <= 25
    assert len(found.shown) == min(SHOWN, found.count)
    first = found.shown[0]
    assert first.image.id in wrong
    assert first.image.split == "test"
    row = int(first.image.id[:3])
    assert first.image.label == labels[row]
    assert first.suggested == CLASSES[truth[row]]
    assert first.given_probability == pytest.approx(probabilities[row, CLASSES.index(labels[row])])
    assert first.suggested_probability == pytest.approx(probabilities[row].max())
    assert find(labels, probabilities, splits=["test"] * 300) == found
    assert find([CLASSES[at] for at in truth], probabilities).count <= 6


def test_what_the_model_can_not_judge_is_left_out():
    truth = np.arange(30) % 3
    labels = [CLASSES[at] for at in truth]
    probabilities = answers(truth)
    probabilities[4] = np.nan
    labels[7] = "a class that came later"
    found = find(labels, probabilities)
    assert found.judged == 28
    assert not {"004.jpg", "007.jpg"} & set(found.ids)


@pytest.mark.parametrize("labels", [[], ["hat"], ["hat", "hat"], ["hat", "dress"], ["scarf"]])
def test_few_images_are_no_error(labels):
    probabilities = answers(np.full(len(labels), 1))
    assert find(labels, probabilities).count <= 1


def test_pictures_are_added_by_id():
    truth = np.arange(60) % 3
    labels = [CLASSES[at] for at in truth]
    labels[0] = "dress"
    found = find(labels, answers(truth))
    assert found.ids[0] == "000.jpg"
    assert found.shown[0].image.jpeg is None
    pictured = with_pictures(found, {"000.jpg": "AAAA"})
    assert pictured.shown[0].image.jpeg == "AAAA"
    assert pictured.ids == found.ids


def test_of_learnt_images_those_are_named_that_the_model_takes_for_another_class_even_so():
    """A model that has learnt wrong labels hardly doubts them: an estimate would name none."""
    truth = np.arange(300) % 3
    probabilities = answers(truth)
    labels = [CLASSES[at] for at in truth]
    for row in (0, 100, 200):  # learnt, and all but believed
        labels[row] = CLASSES[(truth[row] + 1) % 3]
        probabilities[row] = np.roll([0.52, 0.46, 0.01, 0.01], truth[row])
    learnt = np.arange(300) < 150
    named = find(labels, probabilities, learnt=learnt).ids
    assert {"000.jpg", "100.jpg"} <= set(named)
    assert "200.jpg" not in named
    differs = probabilities.argmax(axis=1) != np.array([CLASSES.index(label) for label in labels])
    assert {name for name in named if int(name[:3]) < 150} == {
        f"{row:03}.jpg" for row in np.flatnonzero(differs & learnt)
    }
