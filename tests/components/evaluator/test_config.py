"""Rules as they are read: what judges nothing is refused before anything is trained."""

import pytest
from tensorflow_model_analysis.utils import config_util

from components.errors import ConfigError
from components.evaluator.config import GateConfig
from components.evaluator.measured import eval_config

ACCURATE = {"metric": "accuracy", "min": 0.5}


def rules(*given: dict) -> GateConfig:
    return GateConfig.parse({"rules": list(given)})


def test_the_slices_of_rules_are_measured_and_no_threshold_is_left_to_tfma() -> None:
    config = eval_config(rules({**ACCURATE, "slice": {"label": "hat", "shop": "a"}}))
    config_util.verify_eval_config(
        config_util.update_eval_config_with_defaults(config, has_baseline=True)
    )
    assert {"label": "hat", "shop": "a"} in [
        dict(spec.feature_values) for spec in config.slicing_specs
    ]
    assert not any(metric.HasField("threshold") for metric in config.metrics_specs[0].metrics)


def test_slices_of_each_value_are_measured_as_well() -> None:
    config = eval_config(rules({**ACCURATE, "slice": {"label": "hat", "shop": "*"}}))
    (found,) = [spec for spec in config.slicing_specs if spec.feature_values]
    assert (list(found.feature_keys), dict(found.feature_values)) == (["shop"], {"label": "hat"})


def test_columns_are_those_of_slices_and_rules() -> None:
    config = GateConfig.parse(
        {"rules": [{**ACCURATE, "slice": {"label": "a", "shop": "b"}}], "slices": ["finish"]}
    )
    assert config.columns == ["finish", "shop"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "acuracy", "min": 0.5}, "did you mean 'accuracy'?"),
        ({"metric": "accuracy"}, "bounds nothing"),
        ({"metric": "accuracy", "max_decline": 0.1}, "at least one rule needs min"),
        ({"metric": "accuracy", "min": 0.9, "max": 0.1}, "nothing can pass"),
        ({"metric": "accuracy", "mim": 0.9}, "did you mean 'min'?"),
        ({**ACCURATE, "confidence": 0.95}, "confidence is of max_decline"),
        ({**ACCURATE, "max_decline": 0.1, "confidence": 95}, "less than 1"),
        ({"metric": "precision", "min": 0.5}, "name it, e.g. class: hat"),
        ({"metric": "accuracy", "min": float("nan")}, "finite number"),
        ({**ACCURATE, "max_decline": float("inf")}, "finite number"),
        ({"metric": "accuracy", "min": 85}, "accuracy lies between 0 and 1"),
        ({"metric": "log_loss", "max": -1}, "log_loss lies between 0 and inf"),
        ({**ACCURATE, "max_decline": 1}, "lets any model pass"),
        ({**ACCURATE, "max_decline": 0, "confidence": 0.95}, "needs a max_decline above 0"),
        ({"metric": "accuracy", "max": 0.9}, "at least one rule needs min"),
        ({"metric": "log_loss", "min": 0.1}, "at least one rule needs min (max, where less"),
        ({**ACCURATE, "few_examples": "pass"}, "must not let few examples pass"),
        ({**ACCURATE, "class": "hat"}, "slice: {label: hat}"),
        ({**ACCURATE, "slice": {"id": "*"}}, "a slice of each single image"),
        ({**ACCURATE, "few_examples": "skip"}, "'refuse' or 'pass'"),
        ({"metric": "quadratic_weighted_kappa", "min": 0.5}, "needs gate.class_order"),
        ({"metric": "top_k_accuracy", "k": 1, "min": 0.5}, "greater than or equal to 2"),
    ],
)
def test_a_rule_that_judges_nothing_is_refused_when_read(given: dict, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        rules(given)
    assert said in str(raised.value)


def test_bounds_may_be_the_ends_of_a_range() -> None:
    ends = rules(
        {"metric": "accuracy", "min": 0},
        {"metric": "accuracy", "min": 1, "max_decline": 0.99},
        {"metric": "log_loss", "max": 30, "max_decline": 2},
    )
    assert len(ends.rules) == 3


def test_an_order_names_each_class_once() -> None:
    with pytest.raises(ConfigError, match="names a class twice"):
        GateConfig.parse({"class_order": ["mild", "severe", "mild"]})
