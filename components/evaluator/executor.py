"""TFX's Evaluator beside a baseline that may be empty."""

from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.evaluator import executor as tfx_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import path_utils

from components.model_versions import model_digest
from components.serving_baseline.executor import DIGEST_PROPERTY, has_model


class Executor(tfx_executor.Executor):
    """Judges the candidate, beside the baseline where there is another model to compare with."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates and blesses as TFX does; an absent or identical baseline is left out."""
        inputs = dict(input_dict)
        key = standard_component_specs.BASELINE_MODEL_KEY
        baseline = artifact_utils.get_single_instance(inputs[key])
        if not has_model(baseline) or _is_the_candidate(baseline, inputs):
            del inputs[key]
        super().Do(inputs, output_dict, exec_properties)


def _is_the_candidate(baseline: types.Artifact, inputs: dict[str, list[types.Artifact]]) -> bool:
    """A model compared with itself would cost a second pass to learn nothing."""
    candidate = artifact_utils.get_single_instance(inputs[standard_component_specs.MODEL_KEY])
    digest = baseline.get_string_custom_property(DIGEST_PROPERTY)
    return model_digest(Path(path_utils.serving_model_path(candidate.uri))) == digest
