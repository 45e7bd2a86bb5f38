"""ImageExampleGen: labelled images -> checked tf.Examples in deterministic splits."""

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.image_example_gen import driver, executor
from components.image_example_gen.config import DataConfig, SplitsConfig


class ImageExampleGenSpec(types.ComponentSpec):
    """Parameters and outputs of ImageExampleGen."""

    PARAMETERS: ClassVar = {
        "data_path": component_spec.ExecutionParameter(type=str),
        "data_config": component_spec.ExecutionParameter(type=str),
        "splits_config": component_spec.ExecutionParameter(type=str),
        "code_digest": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {}
    OUTPUTS: ClassVar = {
        executor.EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        executor.INGESTION: component_spec.ChannelParameter(type=simple_artifacts.File),
    }


class ImageExampleGen(base_beam_component.BaseBeamComponent):
    """Reads labelled images, checks each, and writes tf.Examples for train, val and test.

    Outputs:
      examples: the images with what is known of them; see `components.features`.
      ingestion: `report.json`, `rejected.jsonl` with the images that were set aside, and
        `learnt_images.npy`, the table of `components.learnt_images`.
    """

    SPEC_CLASS = ImageExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(
        self,
        data_path: str,
        data_config: DataConfig,
        splits_config: SplitsConfig,
        code_digest: str,
    ) -> None:
        """Constructs the component.

        Args:
          data_path: local folder (or CSV manifest); may hold {SPAN}, {DATE} or {YYYY}/{MM}/{DD}.
            May be a runtime parameter.
          data_config: layout, field names, limits and the span to take.
          splits_config: shares of the splits.
          code_digest: of this package's sources; part of the cache key.
        """
        spec = ImageExampleGenSpec(
            data_path=data_path,
            data_config=data_config.model_dump_json(),
            splits_config=splits_config.model_dump_json(),
            code_digest=code_digest,
            examples=types.Channel(type=standard_artifacts.Examples),
            ingestion=types.Channel(type=simple_artifacts.File),
        )
        super().__init__(spec=spec)
