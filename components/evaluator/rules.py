"""Judges a candidate by the gate's rules, beside the model that serves."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components import features
from components.evaluator.coherence import coherence
from components.evaluator.config import LOWER_IS_BETTER, MEANS_OF_CLASSES, GateConfig, RuleConfig
from components.evaluator.each import each
from components.evaluator.evidence import (
    CONFIDENCE,
    bootstrap_interval,
    least_images,
    mcnemar,
)
from components.evaluator.metrics import NotComputableError, measure
from components.evaluator.predictions import Answers, Predictions
from components.evaluator.verdict import Comparison, Rule, Verdict
from components.learnt_images import among

# Beside what TFMA measures.
_TOLD = ("balanced_accuracy", "macro_f1", "auc", "expected_calibration_error")
_SHOWN = 10
_ROUNDING = 1e-12  # what computing in binary numbers may add to a value that meets its bound


def judge(
    config: GateConfig, predictions: Predictions, learnt: np.ndarray | None = None
) -> Verdict:
    """Returns each bound of each rule with the value it met and whether that passed.

    A bound without a value is not met. Two exceptions are told: a bound against the model that
    serves does not count where this model knows none of the images' classes, nor one on too few
    images whose rule lets that pass.

    Args:
        config: the rules.
        predictions: the answers to all test images.
        learnt: what the model that serves has learnt from, by `components.learnt_images`; None
            where it isn't known.
    """
    rules = [
        verdict
        for rule in config.rules
        for one in each(rule, predictions)
        for verdict in _Judge(one, config.class_order, predictions).verdicts()
    ]
    baseline = predictions.baseline
    seen = None
    if baseline is not None and learnt is not None:
        seen = among(learnt, predictions.columns[features.CONTENT_HASH])
    return Verdict(
        rules=(
            *_unknown_classes(config, predictions),
            *coherence(predictions.candidate),
            *rules,
        ),
        comparison=compare(predictions, seen),
        metrics=_overall(predictions.candidate),
        baseline=None if baseline is None else _overall(baseline),
        seen=None if seen is None else int(seen.sum()),
    )


def _unknown_classes(config: GateConfig, predictions: Predictions) -> Iterator[Rule]:
    """Yields the bound on images that no rule can count, if there are any."""
    unknown = ~predictions.candidate.known
    if not unknown.any():
        return
    names = sorted(set(predictions.columns[features.LABEL][unknown]))
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    share = float(unknown.mean())
    yield Rule(
        metric="images of unknown classes",
        value=share,
        bound=f"<= {config.max_unknown_share:g}",
        passed=share <= config.max_unknown_share,
        reason=f"{int(unknown.sum())} of {len(unknown)} test images are of classes that the "
        f"candidate does not know ({shown}), and no other bound counts them",
        examples=len(unknown),
    )


def _overall(answers: Answers) -> dict[str, float | None]:
    """Returns what is told of every model, on all images whose class it knows."""
    found: dict[str, float | None] = {}
    for name in _TOLD:
        try:
            rule = RuleConfig(metric=name, min=0)
            found[name] = measure(answers[answers.known], rule, None)
        except NotComputableError:
            found[name] = None
    return found


def compare(predictions: Predictions, seen: np.ndarray | None = None) -> Comparison | None:
    """Compares the accuracies of candidate and serving model; None if there is nothing to.

    Args:
        predictions: the answers to all test images.
        seen: bool [images], which of them the serving model has learnt from; None: not known.
    """
    if predictions.baseline is None:
        return None
    both = _known_by_both(predictions)
    found = _compare(predictions, predictions.baseline, both)
    if found is None or seen is None or not (both & seen).any():
        return found
    unseen = _compare(predictions, predictions.baseline, both & ~seen)
    return found.model_copy(update={"unseen": unseen})


def _compare(predictions: Predictions, served: Answers, rows: np.ndarray) -> Comparison | None:
    """Compares on some of the images, whose class both know."""
    if not rows.any():
        return None
    candidate, baseline = predictions.candidate[rows], served[rows]
    right = [answers.right for answers in (candidate, baseline)]
    gain = right[0].astype(float) - right[1]
    test = mcnemar(*right)
    new, former = set(candidate.classes), set(baseline.classes)
    return Comparison(
        images=len(gain),
        left_out=int((~rows).sum()),
        candidate=float(right[0].mean()),
        baseline=float(right[1].mean()),
        difference=float(gain.mean()),
        interval=bootstrap_interval(lambda drawn: gain[drawn].mean(), len(gain), CONFIDENCE),
        only_candidate=test.only_candidate,
        only_baseline=test.only_baseline,
        p_value=test.p_value,
        new_classes=tuple(sorted(new - former)),
        dropped_classes=tuple(sorted(former - new)),
    )


@dataclass(frozen=True)
class _Judge:
    """One rule and the answers that it is about."""

    rule: RuleConfig
    order: tuple[str, ...] | None
    predictions: Predictions

    def verdicts(self) -> Iterator[Rule]:
        """Yields the verdict on each bound that applies."""
        rule = self.rule
        if rule.min is not None or rule.max is not None:
            rows = self._rows() & self.predictions.candidate.known
            value, reason, excused = self._value(self.predictions.candidate[rows])
            if rule.min is not None:
                passed = excused or (value is not None and _at_most(rule.min, value))
                yield self._verdict(f">= {rule.min:g}", passed, value, reason, rows)
            if rule.max is not None:
                passed = excused or (value is not None and _at_most(value, rule.max))
                yield self._verdict(f"<= {rule.max:g}", passed, value, reason, rows)
        if rule.max_decline is not None and self.predictions.baseline is not None:
            yield self._change(rule.max_decline, self.predictions.baseline)

    def _change(self, decline: float, baseline: Answers) -> Rule:
        """Against the model that serves, on the images whose class both know."""
        rows = self._rows() & _known_by_both(self.predictions)
        sign = "<= serving {} + {:g}" if self._lower_is_better else ">= serving {} - {:g}"
        if self._unknown_to(baseline, rows):
            reason = "the model that serves knows none of these images' classes"
            return self._verdict(sign.format("(none)", decline), True, None, reason, rows)
        value, lacking, excused = self._value(self.predictions.candidate[rows])
        reference, lacks, _ = self._value(baseline[rows])
        if value is None:
            return self._verdict(sign.format("(unknown)", decline), excused, None, lacking, rows)
        if reference is None:  # else a model that is at fault could never be replaced
            reason = f"does not count: of the model that serves, {lacks}"
            return self._verdict(sign.format("(none)", decline), True, value, reason, rows)
        bound = sign.format(f"{reference:.4f}", decline)
        if self.rule.confidence is None:
            change = value - reference if self._lower_is_better else reference - value
            return self._verdict(bound, _at_most(change, decline), value, None, rows)
        bound += f", with {self.rule.confidence:.0%} confidence"
        interval = self._interval(rows, baseline, self.rule.confidence)
        if interval is None:
            reason = "too few images for an interval"
            return self._verdict(bound, False, value, reason, rows)
        worst = interval[1] if self._lower_is_better else -interval[0]
        few = self._too_few_to_show(decline, self.predictions.candidate[rows])
        passed = _at_most(worst, decline) if few is None else self.rule.few_examples == "pass"
        verdict = self._verdict(bound, passed, value, few, rows)
        return verdict.model_copy(update={"interval": interval})

    def _too_few_to_show(self, decline: float, answers: Answers) -> str | None:
        if self.rule.confidence is None or self.rule.metric == "log_loss":  # which is no share
            return None
        images, needed = self._count(answers), least_images(decline, self.rule.confidence)
        whose = ""
        if self.rule.metric == "precision":
            index = answers.classes.index(str(self.rule.of_class))
            images, whose = int((answers.predicted == index).sum()), " that are answered so"
        elif self.rule.metric in MEANS_OF_CLASSES:
            found, counts = np.unique(answers.labels, return_counts=True)
            # Shows a mean's decline, however it is spread, were all classes as small as this one.
            images, needed = int(counts.min()), math.ceil(needed / len(found))
            whose = f" of class '{answers.classes[found[counts.argmin()]]}'"
        few = images < needed
        return f"{images} test images{whose} can't show it, {needed} might" if few else None

    def _interval(
        self, rows: np.ndarray, baseline: Answers, confidence: float
    ) -> tuple[float, float] | None:
        candidate, served = self.predictions.candidate[rows], baseline[rows]

        def difference(drawn: np.ndarray) -> float | None:
            try:
                return self._measure(candidate[drawn]) - self._measure(served[drawn])
            except NotComputableError:
                return None

        return bootstrap_interval(difference, len(candidate.labels), confidence)

    def _rows(self) -> np.ndarray:
        return self.predictions.rows(self.rule.part)

    def _unknown_to(self, baseline: Answers, rows: np.ndarray) -> bool:
        """Whether there is nothing to compare: by the images, or by the class asked for."""
        one = self.rule.of_class
        if one in self.predictions.candidate.classes and one not in baseline.classes:
            return True
        return bool(self._rows().any() and not rows.any())

    @property
    def _lower_is_better(self) -> bool:
        return self.rule.metric in LOWER_IS_BETTER

    def _value(self, answers: Answers) -> tuple[float | None, str | None, bool]:
        """The rule's metric, or why it has none, and whether that is let pass."""
        few = self._few(answers)
        if few is not None:
            return None, few, self.rule.few_examples == "pass"
        try:
            return self._measure(answers), None, False
        except NotComputableError as error:
            return None, str(error), False

    def _few(self, answers: Answers) -> str | None:
        """That the images which the metric is about are too few, in words."""
        images = self._count(answers)
        if images >= self.rule.min_examples:
            return None
        if not len(answers.labels):
            return "no test image belongs to this slice"
        of_class = "" if self.rule.of_class is None else f" of class '{self.rule.of_class}'"
        return f"{images} test images{of_class}, fewer than {self.rule.min_examples}"

    def _count(self, answers: Answers) -> int:
        """How many images the metric is about."""
        one = self.rule.of_class
        if one in answers.classes:
            return int((answers.labels == answers.classes.index(one)).sum())
        return len(answers.labels)

    def _measure(self, answers: Answers) -> float:
        return measure(answers, self.rule, self.order)

    def _verdict(
        self,
        bound: str,
        passed: bool,
        value: float | None,
        reason: str | None,
        rows: np.ndarray,
    ) -> Rule:
        return Rule(
            metric=rule_name(self.rule),
            slice=slice_name(self.rule.part) or None,
            value=value,
            bound=bound,
            passed=passed,
            reason=reason,
            examples=int(rows.sum()),
        )


def rule_name(rule: RuleConfig) -> str:
    """Returns a rule's metric with what it is of."""
    if rule.of_class is not None:
        return f"{rule.metric} of {rule.of_class}"
    return f"top_{rule.k}_accuracy" if rule.metric == "top_k_accuracy" else rule.metric


def slice_name(part: tuple[tuple[str, str], ...]) -> str:
    """Returns a slice as people read it; "" for all examples."""
    return ", ".join(f"{column}={value}" for column, value in part)


def _at_most(value: float, bound: float) -> bool:
    return value <= bound + _ROUNDING


def _known_by_both(predictions: Predictions) -> np.ndarray:
    assert predictions.baseline is not None
    return predictions.candidate.known & predictions.baseline.known
