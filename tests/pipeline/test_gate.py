"""Rules as TFMA's thresholds, and how they are judged."""

import pytest
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import config_util

from components.errors import ConfigError
from pipeline import gate
from pipeline.config import GateConfig
from pipeline.gate import Evaluation
from pipeline.summary import Rule

HAT = (("label", "hat"),)


def rules(*given: dict) -> GateConfig:
    return GateConfig.parse({"rules": list(given)})


def test_thresholds_carry_bounds_slices_and_the_better_direction() -> None:
    config = gate.eval_config(
        rules(
            {"metric": "accuracy", "min": 0.8},
            {"metric": "accuracy", "slice": {"label": "hat"}, "min": 0.6, "max_decline": 0.02},
            {"metric": "log_loss", "max": 0.9, "max_decline": 0.1},
        )
    )
    config_util.verify_eval_config(
        config_util.update_eval_config_with_defaults(config, has_baseline=True)
    )
    _, accuracy, log_loss = config.metrics_specs[0].metrics
    overall, hats = accuracy.per_slice_thresholds
    assert overall.threshold.value_threshold.lower_bound.value == 0.8
    assert dict(hats.slicing_specs[0].feature_values) == {"label": "hat"}
    assert hats.threshold.change_threshold.absolute.value == -0.02
    assert hats.threshold.change_threshold.direction == config_pb2.MetricDirection.HIGHER_IS_BETTER
    change = log_loss.per_slice_thresholds[0].threshold.change_threshold
    assert (change.absolute.value, change.direction) == (
        0.1,
        config_pb2.MetricDirection.LOWER_IS_BETTER,
    )
    assert {"label": "hat"} in [dict(spec.feature_values) for spec in config.slicing_specs]


def test_each_bound_is_judged_apart() -> None:
    verdicts = gate.judge(
        rules({"metric": "accuracy", "min": 0.8, "max_decline": 0.01}),
        Evaluation(candidate={(): {"accuracy": 0.85}}, baseline={(): {"accuracy": 0.87}}),
    )
    assert [(rule.bound, rule.passed) for rule in verdicts] == [
        (">= 0.8", True),
        (">= serving 0.8700 - 0.01", False),
    ]


def test_without_a_baseline_nothing_is_compared() -> None:
    verdicts = gate.judge(
        rules({"metric": "log_loss", "max": 0.5, "max_decline": 0.0}),
        Evaluation(candidate={(): {"log_loss": 0.4}}, baseline=None),
    )
    assert [(rule.bound, rule.passed) for rule in verdicts] == [("<= 0.5", True)]


def test_a_slice_without_examples_is_refused_with_its_reason() -> None:
    (verdict,) = gate.judge(
        rules({"metric": "accuracy", "slice": {"label": "hat"}, "min": 0.1}),
        Evaluation(candidate={(): {"accuracy": 0.9}}, baseline=None),
    )
    assert (verdict.slice, verdict.value, verdict.passed) == ("label=hat", None, False)
    assert verdict.reason == "no test image belongs to this slice"


def test_a_blessing_that_contradicts_the_rules_is_noticed() -> None:
    passed = Rule(metric="accuracy", value=0.9, bound=">= 0.8", passed=True)
    failed = Rule(metric="log_loss", value=0.9, bound="<= 0.8", passed=False)
    assert gate.contradiction(True, [passed]) is None
    assert gate.contradiction(False, [passed, failed]) is None
    assert "blessed the model" in (gate.contradiction(True, [passed, failed]) or "")
    assert "did not bless" in (gate.contradiction(False, [passed]) or "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "acuracy", "min": 0.5}, "did you mean 'accuracy'?"),
        ({"metric": "accuracy"}, "bounds nothing"),
        ({"metric": "accuracy", "max_decline": 0.1}, "at least one rule needs min or max"),
        ({"metric": "accuracy", "min": 0.9, "max": 0.1}, "nothing can pass"),
        ({"metric": "accuracy", "mim": 0.9}, "did you mean 'min'?"),
    ],
)
def test_a_rule_that_judges_nothing_is_refused_when_read(given: dict, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        rules(given)
    assert said in str(raised.value)
