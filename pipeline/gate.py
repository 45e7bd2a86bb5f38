"""The gate: rules of the configuration as TFMA thresholds, and what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.model_eval_lib import load_eval_result
from tensorflow_model_analysis.proto import config_pb2

from components import features
from pipeline.config import LOWER_IS_BETTER, METRICS, GateConfig, RuleConfig
from pipeline.summary import Rule

# TFMA's classes and the names under which it saves what they measure.
_TFMA = {
    "accuracy": ("SparseCategoricalAccuracy", "sparse_categorical_accuracy"),
    "log_loss": ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy"),
}
_COUNT = "example_count"

# A slice: its columns' values, sorted; empty for all examples.
Slice = tuple[tuple[str, str], ...]
OVERALL: Slice = ()


@dataclass(frozen=True)
class Evaluation:
    """Metrics by slice and name, of the candidate and of the model that serves (or None)."""

    candidate: Mapping[Slice, Mapping[str, float]]
    baseline: Mapping[Slice, Mapping[str, float]] | None


def eval_config(config: GateConfig) -> config_pb2.EvalConfig:
    """Returns what the Evaluator measures, and what it must find to bless a model.

    It judges the exported signatures on raw examples: what will be served, decoding included.
    TFX adds the baseline to it, or where there is none drops the rules against it.
    """
    columns = sorted({features.LABEL, *config.slices})
    slices = [
        config_pb2.SlicingSpec(),
        *(config_pb2.SlicingSpec(feature_keys=[name]) for name in columns),
    ]
    asked = {_slice(rule) for rule in config.rules} - {OVERALL}
    slices += [config_pb2.SlicingSpec(feature_values=dict(part)) for part in sorted(asked)]
    model = config_pb2.ModelSpec(
        signature_name=features.SERVING_SIGNATURE,
        preprocessing_function_names=[features.LABELS_SIGNATURE],
        label_key=features.LABEL_ID,
        prediction_key=features.PROBABILITIES,
        example_weight_key=features.KNOWN,
    )
    metrics = [config_pb2.MetricConfig(class_name="ExampleCount")]
    metrics += [_metric(name, config) for name in METRICS]
    return config_pb2.EvalConfig(
        model_specs=[model],
        slicing_specs=slices,
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )


def read_evaluation(uri: str) -> Evaluation:
    """Reads the metrics that the Evaluator wrote."""
    config = load_eval_result(uri).config
    if len(config.model_specs) == 1:
        return Evaluation(_read(uri, None), None)
    return Evaluation(_read(uri, constants.CANDIDATE_KEY), _read(uri, constants.BASELINE_KEY))


def judge(config: GateConfig, evaluation: Evaluation) -> list[Rule]:
    """Returns each bound of each rule with the value it met and whether that passed."""
    return [verdict for rule in config.rules for verdict in _judge(rule, evaluation)]


def contradiction(blessed: bool, rules: Sequence[Rule]) -> str | None:
    """Returns how TFMA's verdict differs from ours; None where the two agree, as they must."""
    if blessed == all(rule.passed for rule in rules):
        return None
    failed = ", ".join(rule.metric for rule in rules if not rule.passed) or "none"
    verdict = "blessed" if blessed else "did not bless"
    return f"the Evaluator {verdict} the model, but of the rules as told here failed: {failed}"


def slice_name(part: Slice) -> str:
    """Returns a slice as people read it; "" for all examples."""
    return ", ".join(f"{column}={value}" for column, value in part)


def _metric(name: str, config: GateConfig) -> config_pb2.MetricConfig:
    """One metric with the thresholds of all its rules."""
    thresholds = [
        config_pb2.PerSliceMetricThreshold(
            slicing_specs=[config_pb2.SlicingSpec(feature_values=rule.slice)],
            threshold=_threshold(rule),
        )
        for rule in config.rules
        if rule.metric == name
    ]
    return config_pb2.MetricConfig(class_name=_TFMA[name][0], per_slice_thresholds=thresholds)


def _threshold(rule: RuleConfig) -> config_pb2.MetricThreshold:
    threshold = config_pb2.MetricThreshold()
    if rule.min is not None:
        threshold.value_threshold.lower_bound.value = rule.min
    if rule.max is not None:
        threshold.value_threshold.upper_bound.value = rule.max
    if rule.max_decline is not None:
        lower = rule.metric in LOWER_IS_BETTER
        change = threshold.change_threshold
        change.absolute.value = rule.max_decline if lower else -rule.max_decline
        change.direction = (
            config_pb2.MetricDirection.LOWER_IS_BETTER
            if lower
            else config_pb2.MetricDirection.HIGHER_IS_BETTER
        )
    return threshold


def _judge(rule: RuleConfig, evaluation: Evaluation) -> list[Rule]:
    part = _slice(rule)
    value = evaluation.candidate.get(part, {}).get(rule.metric)
    bounds: list[tuple[str, bool]] = []
    if rule.min is not None:
        bounds.append((f">= {rule.min:g}", value is not None and value >= rule.min))
    if rule.max is not None:
        bounds.append((f"<= {rule.max:g}", value is not None and value <= rule.max))
    if rule.max_decline is not None and evaluation.baseline is not None:
        bounds.append(_judge_change(rule, value, evaluation.baseline.get(part, {})))
    return [
        Rule(
            metric=rule.metric,
            slice=slice_name(part) or None,
            value=value,
            bound=bound,
            passed=passed,
            reason=None if value is not None else "no test image belongs to this slice",
        )
        for bound, passed in bounds
    ]


def _judge_change(
    rule: RuleConfig, value: float | None, baseline: Mapping[str, float]
) -> tuple[str, bool]:
    """Against the model that serves, which is spared the images of classes that it lacks."""
    decline, reference = rule.max_decline or 0.0, baseline.get(rule.metric)
    if rule.metric in LOWER_IS_BETTER:
        sign, passed = "<= serving {} + {:g}", lambda change: change <= decline
    else:
        sign, passed = ">= serving {} - {:g}", lambda change: change >= -decline
    if value is None or reference is None:
        return sign.format("(unknown)", decline), False
    return sign.format(f"{reference:.4f}", decline), passed(value - reference)


def _slice(rule: RuleConfig) -> Slice:
    return tuple(sorted(rule.slice.items()))


def _read(uri: str, model_name: str | None) -> dict[Slice, dict[str, float]]:
    result = load_eval_result(uri, model_name=model_name)
    names = {saved: ours for ours, (_, saved) in _TFMA.items()} | {_COUNT: "examples"}
    table: dict[Slice, dict[str, float]] = {}
    for key, outputs in result.slicing_metrics:
        part = tuple(sorted((str(column), _text(value)) for column, value in key))
        values = outputs[""][""]
        table[part] = {
            ours: float(values[saved]["doubleValue"])
            for saved, ours in names.items()
            if saved in values
        }
    return table


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
