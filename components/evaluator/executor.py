"""TFX's Evaluator beside a baseline that may be empty, and the gate's verdict as its blessing."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as tfx_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import path_utils

from components import features, learnt_images
from components.evaluator.config import GateConfig
from components.evaluator.evaluation_part import evaluation_part
from components.evaluator.extractors import NAME
from components.evaluator.pictures import with_images
from components.evaluator.predictions import Predictions, read_predictions, recording
from components.evaluator.rules import judge
from components.evaluator.verdict import FILE, Verdict
from components.model_versions import model_digest, read_training
from components.run_report.parts import EvaluationPart, tried
from components.serving_baseline.executor import DIGEST_PROPERTY, has_model

GATE_CONFIG = "gate_config"
_MODEL = standard_component_specs.MODEL_KEY
_BASELINE = standard_component_specs.BASELINE_MODEL_KEY
# TFX's executor looks for it there, but only TFX's package of all components puts it there.
tfma.EvalConfig = config_pb2.EvalConfig


class Executor(tfx_executor.Executor):
    """Has TFMA measure the candidate, beside the model that serves where there is another one.

    The rules are judged here, from the answers to each image: TFMA's thresholds know neither the
    images that two models have in common, nor how sure a difference is.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates, leaves it for the report, and blesses a candidate that meets every rule."""
        inputs = dict(input_dict)
        if not _has_another_baseline(inputs):
            del inputs[_BASELINE]
        evaluation = artifact_utils.get_single_uri(
            output_dict[standard_component_specs.EVALUATION_KEY]
        )
        config = GateConfig.parse_json(exec_properties[GATE_CONFIG])
        with recording(evaluation, sorted({*config.columns, features.CONTENT_HASH})):
            super().Do(inputs, output_dict, {**exec_properties, "custom_extractors": NAME})
        baseline = _classes(inputs, _BASELINE) if _BASELINE in inputs else None
        predictions = read_predictions(evaluation, _classes(inputs, _MODEL), baseline)
        verdict = judge(config, predictions, _learnt(inputs))
        (Path(evaluation) / FILE).write_text(verdict.model_dump_json(indent=2), encoding="utf-8")
        test = artifact_utils.get_split_uris(
            inputs[standard_component_specs.EXAMPLES_KEY], features.TEST
        )
        tried(
            "the report lacks the answers to the test images",
            lambda: _part(predictions, test, _path(inputs, _MODEL)).leave(evaluation),
            None,
        )
        _bless(verdict, output_dict)


def _part(predictions: Predictions, test: list[str], model: Path) -> EvaluationPart:
    part = evaluation_part(predictions)
    return tried(
        "the report lacks pictures of test images", lambda: with_images(part, test, model), part
    )


def _bless(verdict: Verdict, output_dict: dict[str, list[types.Artifact]]) -> None:
    """Leaves what TFX's own would, for the Pusher."""
    blessing = artifact_utils.get_single_instance(
        output_dict[standard_component_specs.BLESSING_KEY]
    )
    name = constants.BLESSED_FILE_NAME if verdict.passed else constants.NOT_BLESSED_FILE_NAME
    (Path(blessing.uri) / name).touch()
    value = constants.BLESSED_VALUE if verdict.passed else constants.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)


def _has_another_baseline(inputs: dict[str, list[types.Artifact]]) -> bool:
    """A model compared with itself would cost a second pass to learn nothing."""
    baseline = artifact_utils.get_single_instance(inputs[_BASELINE])
    digest = baseline.get_string_custom_property(DIGEST_PROPERTY)
    return has_model(baseline) and model_digest(_path(inputs, _MODEL)) != digest


def _classes(inputs: dict[str, list[types.Artifact]], key: str) -> list[str]:
    return read_training(_path(inputs, key))["classes"]


def _learnt(inputs: dict[str, list[types.Artifact]]) -> np.ndarray | None:
    """What the model that serves has learnt from; None where none is compared, or not told."""
    if _BASELINE not in inputs:
        return None
    return learnt_images.read(_path(inputs, _BASELINE) / features.EXTRA)


def _path(inputs: dict[str, list[types.Artifact]], key: str) -> Path:
    return Path(path_utils.serving_model_path(artifact_utils.get_single_uri(inputs[key])))
