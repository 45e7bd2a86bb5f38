"""DataCheck: stops the run before Transform when the data is not what the schema says."""

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.experimental import simple_artifacts

from components.data_check import executor
from components.data_check.config import SchemaConfig


class DataCheckSpec(ComponentSpec):
    """What is judged, and by which settings."""

    PARAMETERS: ClassVar = {
        "settings": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS: ClassVar = {
        "ingestion": ChannelParameter(type=simple_artifacts.File),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }
    OUTPUTS: ClassVar = {"findings": ChannelParameter(type=simple_artifacts.File)}


class DataCheck(base_component.BaseComponent):
    """ExampleValidator only writes anomalies down; this puts them into words and acts on them."""

    SPEC_CLASS = DataCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        ingestion: types.BaseChannel,
        schema: types.BaseChannel,
        anomalies: types.BaseChannel,
        statistics: types.BaseChannel,
        settings: SchemaConfig,
        code_digest: str,
    ):
        """Takes what is judged.

        Args:
            ingestion: channel of one File, by ImageExampleGen.
            schema: channel of one Schema, by ReferenceSchema.
            anomalies: channel of one ExampleAnomalies.
            statistics: channel of one ExampleStatistics, which an accepted schema allows.
            settings: what stops the run.
            code_digest: of this package's sources; part of the cache key.
        """
        super().__init__(
            DataCheckSpec(
                ingestion=ingestion,
                schema=schema,
                anomalies=anomalies,
                statistics=statistics,
                settings=settings.model_dump_json(),
                code_digest=code_digest,
                findings=types.Channel(type=simple_artifacts.File),
            )
        )
