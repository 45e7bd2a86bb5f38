"""What a rule for each class, or for each value of a column, stands for."""

from collections.abc import Iterator

from components import features
from components.evaluator.config import EACH, RuleConfig
from components.evaluator.predictions import Predictions


def each(rule: RuleConfig, predictions: Predictions) -> Iterator[RuleConfig]:
    """Yields the rule for each class and each value that its '*' stand for; else the rule itself.

    Classes are those that the candidate knows or a test image has; values, and those of several
    columns together, are the ones that test images have. Where there are none the rule stays as it
    is: it matches no image, and what becomes of such a rule is told.
    """
    for one in _classes(rule, predictions):
        for part in _parts(rule, predictions):
            yield rule.model_copy(update={"of_class": one, "slice": part})


def _classes(rule: RuleConfig, predictions: Predictions) -> list[str] | list[str | None]:
    if rule.of_class != EACH:
        return [rule.of_class]
    return sorted({*predictions.candidate.classes, *predictions.columns[features.LABEL]})


def _parts(rule: RuleConfig, predictions: Predictions) -> list[dict[str, str]]:
    columns = [column for column, value in rule.part if value == EACH]
    if not columns:
        return [rule.slice]
    fixed = [(column, value) for column, value in rule.part if value != EACH]
    rows = predictions.rows(fixed)
    shown = zip(*(predictions.columns[column][rows] for column in columns), strict=True)
    # Images without a value in a column belong to no slice of it.
    found = sorted({combination for combination in shown if all(combination)})
    parts = [{**rule.slice, **dict(zip(columns, values, strict=True))} for values in found]
    return parts or [rule.slice]
