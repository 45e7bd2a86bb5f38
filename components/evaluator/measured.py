"""What TFMA measures, of which slices, and what it found."""

from collections.abc import Mapping
from typing import Any

from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.model_eval_lib import load_eval_result
from tensorflow_model_analysis.proto import config_pb2

from components import features
from components.evaluator.config import EACH, GateConfig

# TFMA's classes, and our names of what they save.
_METRICS = {
    "ExampleCount": ("example_count", "examples"),
    "SparseCategoricalAccuracy": ("sparse_categorical_accuracy", "accuracy"),
    "SparseCategoricalCrossentropy": ("sparse_categorical_crossentropy", "log_loss"),
}

# A slice: its columns' values, sorted; empty for all examples.
Slice = tuple[tuple[str, str], ...]
OVERALL: Slice = ()
Metrics = Mapping[Slice, Mapping[str, float]]


def eval_config(config: GateConfig) -> config_pb2.EvalConfig:
    """Returns what the Evaluator measures of a model; it adds the baseline if there is one.

    It asks the exported signatures about raw examples: what will be served, decoding included.
    No threshold is among it: `components.evaluator.rules` judges.
    """
    columns = sorted({features.LABEL, *config.slices})
    asked = sorted({rule.part for rule in config.rules} - {OVERALL})
    model = config_pb2.ModelSpec(
        signature_name=features.SERVING_SIGNATURE,
        preprocessing_function_names=[features.LABELS_SIGNATURE],
        label_key=features.LABEL_ID,
        prediction_key=features.PROBABILITIES,
        example_weight_key=features.KNOWN,
    )
    metrics = [config_pb2.MetricConfig(class_name=name) for name in _METRICS]
    return config_pb2.EvalConfig(
        model_specs=[model],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[name]) for name in columns),
            *(_slicing(part) for part in asked),
        ],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )


def _slicing(part: Slice) -> config_pb2.SlicingSpec:
    return config_pb2.SlicingSpec(
        feature_keys=[column for column, value in part if value == EACH],
        feature_values={column: value for column, value in part if value != EACH},
    )


def read_metrics(uri: str) -> tuple[Metrics, Metrics | None]:
    """Reads what the Evaluator wrote: of the candidate, and of the model that serves or None."""
    if len(load_eval_result(uri).config.model_specs) == 1:
        return _read(uri, None), None
    return _read(uri, constants.CANDIDATE_KEY), _read(uri, constants.BASELINE_KEY)


def _read(uri: str, model_name: str | None) -> dict[Slice, dict[str, float]]:
    table: dict[Slice, dict[str, float]] = {}
    for key, outputs in load_eval_result(uri, model_name=model_name).slicing_metrics:
        part = tuple(sorted((str(column), _text(value)) for column, value in key))
        values = outputs[""][""]
        table[part] = {
            ours: float(values[saved]["doubleValue"])
            for saved, ours in _METRICS.values()
            if saved in values
        }
    return table


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
