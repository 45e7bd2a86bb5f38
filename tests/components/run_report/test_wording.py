"""Numbers that are rounded say nothing untrue."""

import pytest

from components.evaluator.verdict import Rule
from components.run_report import wording


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((0.0, "0.0 %"), (1.0, "100.0 %"), (0.8853, "88.5 %"), (None, wording.NONE)),
        *((1e-5, "< 0.1 %"), (0.0006, "0.1 %"), (0.9989, "99.9 %"), (0.99999, "> 99.9 %")),
    ],
)
def test_a_share_is_nothing_or_all_only_where_it_is(value, shown):
    assert wording.share(value).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((0.0, "0.0000"), (1.4e-7, "1.4e\N{MINUS SIGN}07"), (0.88531, "0.8853"), (3.0, "3")),
        *(
            (1194.344, "1,194.34"),
            (-2.5, "\N{MINUS SIGN}2.50"),
            (1.0, "1.0000"),
            (None, wording.NONE),
        ),
    ],
)
def test_a_measure_is_never_rounded_to_nothing(value, shown):
    assert wording.number(value) == shown


@pytest.mark.parametrize(
    ("value", "bound", "passed", "shown"),
    [
        (0.84996, ">= 0.85", False, "0.84996"),
        (0.84996, ">= 0.8", True, "0.8500"),
        (0.81, ">= 0.85", False, "0.8100"),
        (100.0004, "<= 100", False, "100.0004"),
        (0.5, "answers", False, "0.5000"),
        (None, ">= 0.85", False, wording.NONE),
    ],
)
def test_a_value_differs_from_the_bound_that_it_does_not_meet(value, bound, passed, shown):
    rule = Rule(metric="accuracy", value=value, bound=bound, passed=passed)
    assert wording.measured(rule) == shown
