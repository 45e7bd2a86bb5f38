"""ReferenceSchema: the schema that the data of this run must follow."""

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.experimental import simple_artifacts

from components.reference_schema import executor


class ReferenceSchemaSpec(ComponentSpec):
    """What a schema may come from, and the one chosen."""

    PARAMETERS: ClassVar = {
        "schema_file": ExecutionParameter(type=str),
        "schema_digest": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS: ClassVar = {
        "inferred": ChannelParameter(type=standard_artifacts.Schema),
        "ingestion": ChannelParameter(type=simple_artifacts.File),
        "baseline": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS: ClassVar = {"reference": ChannelParameter(type=standard_artifacts.Schema)}


class ReferenceSchema(base_component.BaseComponent):
    """Chooses the schema: a given one, else the serving model's, else the inferred one.

    The inferred one is completed with the classes that are there.

    What Transform and the Trainer parse by is the inferred one, so that a new reference (after
    each push) costs a check and not a training.
    """

    SPEC_CLASS = ReferenceSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        inferred: types.BaseChannel,
        ingestion: types.BaseChannel,
        baseline: types.BaseChannel,
        schema_file: str,
        schema_digest: str,
        code_digest: str,
    ):
        """Takes the three sources.

        Args:
            inferred: channel of one Schema, by SchemaGen.
            ingestion: channel of one File, by ImageExampleGen: the classes of the training split.
            baseline: channel of one Model, by ServingBaseline; may be empty.
            schema_file: a curated or accepted schema, its address on S3 or GCS, or "".
            schema_digest: of that file; part of the cache key, since the file may change.
            code_digest: of this package's sources; part of the cache key.
        """
        super().__init__(
            ReferenceSchemaSpec(
                inferred=inferred,
                ingestion=ingestion,
                baseline=baseline,
                schema_file=schema_file,
                schema_digest=schema_digest,
                code_digest=code_digest,
                reference=types.Channel(type=standard_artifacts.Schema),
            )
        )
