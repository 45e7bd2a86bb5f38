"""What passes, what is refused, and with which reason."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from components.evaluator import evidence
from components.evaluator.config import GateConfig
from components.evaluator.evidence import bootstrap_interval, least_images, mcnemar
from components.evaluator.rules import compare, judge
from components.evaluator.verdict import Rule, Verdict
from components.learnt_images import learnt_images
from tests.components.evaluator.answers import (
    certain_answers,
    content_hash,
    predictions,
    random_answers,
)

CLASSES = ("cap", "hat")
LABELS = ["cap", "hat"] * 50
RIGHT = certain_answers(CLASSES, LABELS, LABELS)


def wrong_on(count: int, classes: tuple[str, ...] = CLASSES, start: int = 0):
    """Right but for some images in a row."""
    given = [
        {"cap": "hat", "hat": "cap"}[label] if start <= number < start + count else label
        for number, label in enumerate(LABELS)
    ]
    return certain_answers(classes, LABELS, given)


def gate(*rules: dict) -> GateConfig:
    return GateConfig.parse({"rules": [*rules, {"metric": "accuracy", "min": 0}]})


def verdicts(config: GateConfig, found) -> list[Rule]:
    return list(judge(config, found).rules[:-1])


def test_each_bound_is_judged_apart() -> None:
    rule = {"metric": "accuracy", "min": 0.8, "max": 0.95, "max_decline": 0.01}
    found = verdicts(gate(rule), predictions(LABELS, wrong_on(15), wrong_on(13)))
    assert [(rule.bound, rule.passed, rule.examples) for rule in found] == [
        (">= 0.8", True, 100),
        ("<= 0.95", True, 100),
        (">= serving 0.8700 - 0.01", False, 100),
    ]


def test_a_decline_up_to_the_bound_itself_passes() -> None:
    (found,) = verdicts(
        gate({"metric": "accuracy", "max_decline": 0.02}),
        predictions(LABELS, wrong_on(15), wrong_on(13)),
    )
    assert found.passed


def test_a_value_that_is_the_bound_itself_passes_however_it_was_computed() -> None:
    """Recalls of 0.8, 0.7 and 0.6, whose mean in binary numbers is not 0.7."""
    classes = ("boot", "cap", "hat")
    labels = [name for name in classes for _ in range(10)]
    wrong = {"boot": 2, "cap": 3, "hat": 4}
    given = [
        classes[0 if label != "boot" else 1] if number % 10 < wrong[label] else label
        for number, label in enumerate(labels)
    ]
    answers = certain_answers(classes, labels, given)
    rules = [{"metric": "balanced_accuracy", bound: 0.7} for bound in ("min", "max")]
    found = verdicts(gate(*rules), predictions(labels, answers))
    assert found[0].value != 0.7
    assert [rule.passed for rule in found] == [True, True]


def test_an_interval_that_ends_at_the_bound_itself_passes() -> None:
    rule = {"metric": "accuracy", "max_decline": 0.1, "confidence": 0.95}
    found = predictions(LABELS, wrong_on(2), RIGHT)
    (first,) = verdicts(gate(rule), found)
    assert first.interval is not None
    end = -first.interval[0]
    at, below = verdicts(gate(*({**rule, "max_decline": end - by} for by in (1e-15, 1e-9))), found)
    assert (at.passed, below.passed) == (True, False)
    assert at.reason is below.reason is None


def test_less_is_better_for_a_loss() -> None:
    sure, unsure = (random_answers(CLASSES, LABELS, 0, sharpness) for sharpness in (4, 1))
    rule = gate({"metric": "log_loss", "max_decline": 0.01, "confidence": 0.9})
    (better,) = verdicts(rule, predictions(LABELS, sure, unsure))
    (worse,) = verdicts(rule, predictions(LABELS, unsure, sure))
    assert (better.passed, worse.passed) == (True, False)
    assert better.interval is not None
    assert better.interval[1] < 0
    assert str(better.bound).startswith("<= serving")


def test_without_a_baseline_nothing_is_compared() -> None:
    found = judge(gate({"metric": "accuracy", "max_decline": 0}), predictions(LABELS, RIGHT))
    assert [rule.bound for rule in found.rules] == [">= 0"]
    assert found.comparison is None


def test_slices_are_rows_with_all_their_columns_values() -> None:
    shops = ["a", "a", "b", "b"] * 25
    rule = {"metric": "accuracy", "min": 0.9, "slice": {"label": "hat", "shop": "b"}}
    (found,) = verdicts(gate(rule), predictions(LABELS, wrong_on(4), columns={"shop": shops}))
    assert (found.slice, found.examples) == ("label=hat, shop=b", 25)
    assert found.value == pytest.approx(24 / 25)


def test_a_slice_without_images_is_refused_with_its_reason() -> None:
    rule = {"metric": "accuracy", "slice": {"label": "coat"}, "min": 0.1, "max_decline": 0.1}
    bound, change = verdicts(gate(rule), predictions(LABELS, RIGHT, RIGHT))
    assert (bound.value, bound.passed) == (None, False)
    assert bound.reason == change.reason == "no test image belongs to this slice"
    assert not change.passed


def test_too_few_images_fail_a_rule_that_asks_for_more() -> None:
    rule = {"metric": "accuracy", "min": 0.5, "min_examples": 60, "slice": {"label": "hat"}}
    (found,) = verdicts(gate(rule), predictions(LABELS, RIGHT))
    assert (found.passed, found.reason) == (False, "50 test images, fewer than 60")


def test_a_bound_for_each_class_has_a_line_for_each() -> None:
    """Also for one that the candidate knows and no test image has: it can't be judged."""
    classes = ("boot", "cap", "hat")
    found = verdicts(
        gate({"metric": "recall", "class": "*", "min": 0.9}),
        predictions(LABELS, wrong_on(10, classes)),
    )
    assert [(rule.metric, rule.value, rule.passed) for rule in found] == [
        ("recall of boot", None, False),
        ("recall of cap", 0.9, True),
        ("recall of hat", 0.9, True),
    ]
    assert found[0].reason == "0 test images of class 'boot', fewer than 1"


def test_a_bound_for_each_value_has_a_line_for_each_that_the_images_show() -> None:
    """Images without a value belong to none."""
    shops, sizes = ["a", "b", "b", ""] * 25, ["s", "s", "m", "m"] * 25
    columns = {"shop": shops, "size": sizes}
    rule = {"metric": "accuracy", "min": 0.9, "slice": {"shop": "*", "size": "*"}}
    found = verdicts(gate(rule), predictions(LABELS, wrong_on(4), columns=columns))
    assert [(rule.slice, rule.examples) for rule in found] == [
        ("shop=a, size=s", 25),
        ("shop=b, size=m", 25),
        ("shop=b, size=s", 25),
    ]
    rule = {**rule, "slice": {"shop": "*", "size": "m"}}
    (only,) = verdicts(gate(rule), predictions(LABELS, RIGHT, columns=columns))
    assert only.slice == "shop=b, size=m"


def test_a_bound_for_each_value_of_none_is_refused() -> None:
    rule = {"metric": "accuracy", "min": 0, "slice": {"shop": "*", "label": "coat"}}
    columns = {"shop": ["a"] * 100}
    (found,) = verdicts(gate(rule), predictions(LABELS, RIGHT, columns=columns))
    assert (found.passed, found.slice) == (False, "label=coat, shop=*")
    assert found.reason == "no test image belongs to this slice"


@pytest.mark.parametrize("few", ["refuse", "pass"])
def test_too_few_images_of_one_value_are_named_and_pass_only_if_that_is_set(few: str) -> None:
    labels = [*LABELS, *["coat"] * 3]
    answers = certain_answers(("cap", "coat", "hat"), labels, labels)
    asks = {"min_examples": 10, "few_examples": few, "min": 0.5, "max_decline": 0}
    config = gate(
        {"metric": "accuracy", "slice": {"label": "*"}, **asks},
        {"metric": "precision", "class": "*", **asks},
    )
    found = verdicts(config, predictions(labels, answers, answers))
    coats = [rule for rule in found if "coat" in f"{rule.metric} {rule.slice}"]
    assert [rule.passed for rule in coats] == [few == "pass"] * 4
    assert {rule.reason for rule in coats} == {
        "3 test images, fewer than 10",
        "3 test images of class 'coat', fewer than 10",
    }
    assert all(rule.passed for rule in found if rule not in coats)


@pytest.mark.parametrize(("allowed", "passed"), [(0.0, False), (0.2, True)])
def test_images_of_classes_that_the_candidate_does_not_know_are_told_and_refuse(
    allowed: float, passed: bool
) -> None:
    labels = [*LABELS, *["coat"] * 20]
    answers = certain_answers(CLASSES, labels, [*LABELS, *["cap"] * 20])
    rules = [{"metric": "accuracy", "min": 0.9}]
    config = GateConfig.parse({"rules": rules, "max_unknown_share": allowed})
    unknown, accuracy = judge(config, predictions(labels, answers)).rules
    assert (unknown.passed, accuracy.passed) == (passed, True)
    assert unknown.value == pytest.approx(20 / 120)
    assert "20 of 120 test images" in (unknown.reason or "")
    assert "(coat)" in (unknown.reason or "")


def test_what_the_serving_model_has_learnt_from_is_counted_and_the_rest_compared_apart() -> None:
    found = predictions(LABELS, wrong_on(30), wrong_on(10, start=60))
    learnt = learnt_images((content_hash(number), "hat") for number in range(50, 130))
    config = gate({"metric": "accuracy", "max_decline": 0})
    verdict = judge(config, found, learnt)
    assert verdict.seen == 50
    assert verdict.comparison is not None
    assert (verdict.comparison.images, verdict.comparison.difference) == (100, pytest.approx(-0.2))
    unseen = verdict.comparison.unseen
    assert unseen is not None
    assert (unseen.images, unseen.left_out) == (50, 50)
    assert (unseen.only_baseline, unseen.difference) == (30, pytest.approx(-0.6))
    assert Verdict.read(verdict.model_dump_json()) == verdict
    everything = learnt_images((content_hash(number), "hat") for number in range(100))
    seen_all = judge(config, found, everything)
    assert (seen_all.seen, seen_all.comparison.unseen) == (100, None)
    assert judge(config, found).seen is None


def test_what_was_learnt_from_is_told_also_where_nothing_can_be_compared() -> None:
    baseline = certain_answers(("boot", "coat"), LABELS, ["boot"] * 100)
    verdict = judge(
        gate({"metric": "accuracy", "min": 0}),
        predictions(LABELS, RIGHT, baseline),
        learnt_images([(content_hash(3), "boot")]),
    )
    assert (verdict.comparison, verdict.seen) == (None, 1)


def test_non_inferiority_needs_evidence_where_the_plain_comparison_needs_none() -> None:
    """As good on a hundred images, but erring on others: they may differ by some hundredths."""
    found = predictions(LABELS, wrong_on(10), wrong_on(10, start=50))
    plain, sure = verdicts(
        gate(
            {"metric": "accuracy", "max_decline": 0.02},
            {"metric": "accuracy", "max_decline": 0.02, "confidence": 0.95},
        ),
        found,
    )
    assert (plain.passed, sure.passed) == (True, False)
    assert sure.interval is not None
    assert sure.interval[0] < -0.02 < 0 < sure.interval[1]
    assert sure.interval == found_again(found).interval


@pytest.mark.parametrize(
    ("more", "images"),
    [({}, 100), ({"metric": "recall", "class": "hat"}, 50)],
    ids=["all", "of a class"],
)
def test_images_that_are_too_few_show_nothing_however_well_they_are_answered(more, images) -> None:
    """The bootstrap of answers that are all the same knows of no other."""
    rule = {"metric": "accuracy", "max_decline": 0.02, "confidence": 0.95, **more}
    found = predictions(LABELS, RIGHT, RIGHT)
    strict, lenient = verdicts(gate(rule, {**rule, "few_examples": "pass"}), found)
    assert (strict.passed, lenient.passed) == (False, True)
    assert strict.interval == (0, 0)
    assert strict.reason == lenient.reason == f"{images} test images can't show it, 183 might"
    (enough,) = verdicts(gate({**rule, "max_decline": 0.1}), found)
    assert (enough.passed, enough.reason) == (True, None)


def test_precision_is_shown_by_the_images_that_are_answered_so() -> None:
    """Fifty true ones show nothing, where three are answered, however rightly."""
    rule = {"metric": "precision", "class": "hat", "max_decline": 0.1, "confidence": 0.95}
    given = ["hat" if number in (1, 3, 5) else "cap" for number in range(len(LABELS))]
    answers = certain_answers(CLASSES, LABELS, given)
    (found,) = verdicts(gate(rule), predictions(LABELS, answers, answers))
    assert (found.value, found.passed) == (1, False)
    assert found.reason == "3 test images that are answered so can't show it, 36 might"
    (enough,) = verdicts(gate(rule), predictions(LABELS, RIGHT, RIGHT))
    assert enough.passed


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "auc"])
def test_a_mean_over_classes_is_shown_by_no_more_than_its_smallest_class_shows(
    metric, monkeypatch
) -> None:
    """Whichever classes a model is worse on by 0.1 at the mean: 36 images of one, 12 of three."""
    monkeypatch.setattr(evidence, "REPLICATES", 20)  # all are alike here
    rule = {"metric": metric, "max_decline": 0.1, "confidence": 0.95}

    def of(coats: int) -> list[Rule]:
        labels = [*LABELS, *["coat"] * coats]
        answers = certain_answers(("cap", "coat", "hat"), labels, labels)
        rules = gate(rule, {**rule, "few_examples": "pass"})
        return verdicts(rules, predictions(labels, answers, answers))

    assert least_images(0.1, 0.95) == 36
    assert [found.passed for found in of(11)] == [False, True]
    assert {found.reason for found in of(11)} == {
        "11 test images of class 'coat' can't show it, 12 might"
    }
    assert [(found.passed, found.reason) for found in of(12)] == [(True, None)] * 2


def test_the_least_number_shows_what_one_image_less_does_not() -> None:
    for decline, confidence in ((0.01, 0.95), (0.02, 0.9), (0.3, 0.99)):
        least, allowed = least_images(decline, confidence), (1 - confidence) / 2
        assert (1 - decline) ** least <= allowed < (1 - decline) ** (least - 1)
    assert least_images(1.5, 0.95) == 1


def found_again(found) -> Rule:
    rule = {"metric": "accuracy", "max_decline": 0.02, "confidence": 0.95}
    return verdicts(gate(rule), found)[0]


def test_a_new_class_is_no_reason_to_refuse_and_not_compared_on() -> None:
    labels = [*LABELS, *["coat"] * 20]
    candidate = certain_answers(("cap", "coat", "hat"), labels, labels)
    baseline = certain_answers(CLASSES, labels, [*LABELS, *["cap"] * 20])
    config = gate(
        {"metric": "accuracy", "max_decline": 0},
        {"metric": "accuracy", "slice": {"label": "coat"}, "max_decline": 0},
        {"metric": "precision", "class": "coat", "max_decline": 0},
        {"metric": "precision", "class": "cap", "max_decline": 0},
    )
    found = judge(config, predictions(labels, candidate, baseline))
    assert found.passed
    assert found.comparison is not None
    assert (found.comparison.images, found.comparison.left_out) == (100, 20)
    assert found.comparison.new_classes == ("coat",)
    assert [rule.examples for rule in found.rules[:2]] == [100, 0]
    assert "knows none of these" in (found.rules[1].reason or "")
    assert "knows none of these" in (found.rules[2].reason or "")


def test_a_serving_model_without_a_value_can_be_replaced() -> None:
    """It never answers 'hat', so that it has no precision to compare with."""
    baseline = certain_answers(CLASSES, LABELS, ["cap"] * 100)
    rule = {"metric": "precision", "class": "hat", "max_decline": 0}
    (found,) = verdicts(gate(rule), predictions(LABELS, RIGHT, baseline))
    assert found.passed
    assert "does not count: of the model that serves, the model never answered" in found.reason


def test_answers_that_are_no_numbers_are_refused() -> None:
    answers = random_answers(CLASSES, LABELS, 0)
    answers.probabilities[3, 1] = np.nan
    found = judge(gate({"metric": "auc", "min": 0}), predictions(LABELS, answers))
    assert not found.passed
    assert found.rules[1].reason == "the model answers with numbers that are not finite"


def test_labels_that_are_not_the_likeliest_classes_are_refused() -> None:
    """All labels are right, and accuracy goes by nothing else."""
    config = GateConfig()
    other = dataclasses.replace(RIGHT, probabilities=RIGHT.probabilities[:, ::-1])
    assert judge(config, predictions(LABELS, RIGHT, RIGHT)).passed
    found = judge(config, predictions(LABELS, other, RIGHT))
    assert [rule.passed for rule in found.rules] == [False, True, True]
    assert (found.rules[0].value, found.rules[0].examples) == (1, 100)
    assert "100 of 100 test images have a label" in (found.rules[0].reason or "")
    # Else a model that serves and is at fault could never be replaced.
    assert judge(config, predictions(LABELS, RIGHT, other)).passed


@pytest.mark.parametrize(
    ("lead", "label", "passed"), [(0, 1, True), (5e-7, 1, True), (1e-5, 1, False), (0, -1, False)]
)
def test_one_label_that_differs_is_told_but_not_one_of_equals(
    lead: float, label: int, passed: bool
) -> None:
    answers = certain_answers(CLASSES, LABELS, LABELS)
    answers.probabilities[3] = (0.5 + lead / 2, 0.5 - lead / 2)
    answers.predicted[3] = label
    found = judge(gate(), predictions(LABELS, answers))
    assert found.passed == passed
    assert passed or found.rules[0].value == pytest.approx(0.01)


def test_a_dropped_class_leaves_the_rest_to_compare() -> None:
    baseline = certain_answers(("boot", *CLASSES), LABELS, LABELS)
    found = judge(
        gate({"metric": "macro_f1", "max_decline": 0}), predictions(LABELS, RIGHT, baseline)
    )
    assert found.passed
    assert found.comparison is not None
    assert found.comparison.dropped_classes == ("boot",)


def test_a_comparison_counts_who_alone_is_right() -> None:
    found = compare(predictions(LABELS, wrong_on(4), wrong_on(12, start=50)))
    assert found is not None
    assert (found.only_candidate, found.only_baseline) == (12, 4)
    assert found.difference == pytest.approx(0.08)
    assert found.p_value == pytest.approx(stats.binomtest(4, 16).pvalue)
    assert found.interval is not None
    assert found.interval[0] < 0.08 < found.interval[1]


def test_models_that_agree_do_not_differ() -> None:
    right = np.ones(10, bool)
    assert mcnemar(right, right).p_value == 1


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Of means of 200 draws, whose true mean is known."""
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        sample = rng.choice([-1, 0, 1], 200, p=[0.1, 0.75, 0.15])
        interval = bootstrap_interval(lambda rows, sample=sample: sample[rows].mean(), 200, 0.9)
        assert interval is not None
        covered += interval[0] <= 0.05 <= interval[1]
    assert 0.83 <= covered / 200 <= 0.96


def test_no_interval_where_the_metric_often_has_none() -> None:
    assert bootstrap_interval(lambda rows: None if rows[0] % 2 else 0.0, 100, 0.95) is None


def test_a_verdict_is_read_as_it_was_written() -> None:
    found = judge(gate({"metric": "accuracy", "max_decline": 0}), predictions(LABELS, RIGHT, RIGHT))
    assert Verdict.read(found.model_dump_json()) == found
