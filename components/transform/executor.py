"""TFX's Transform with batches of a known number of images."""

from typing import Any
from unittest import mock

from tfx import types
from tfx.components.transform import executor as tfx_executor
from tfx.types import standard_component_specs
from tfx.utils import json_utils


class Executor(tfx_executor.Executor):
    """Beam's batches grow until they are fast, which for images is until memory is full."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs Transform with the `batch_size` of its custom_config."""
        custom_config = json_utils.loads(
            exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY]
        )
        # TFX has no setting for it; the method is asked once, while the pipeline is built.
        with mock.patch.object(
            tfx_executor.TransformProcessor,
            "_GetDesiredBatchSize",
            return_value=custom_config["batch_size"],
        ):
            super().Do(input_dict, output_dict, exec_properties)
