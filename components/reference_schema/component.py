"""ReferenceSchema: the schema that the data of this run must follow."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import IngestionReport
from components.reference_schema import executor


class ReferenceSchemaSpec(ComponentSpec):
    """What a schema may come from, and the one chosen."""

    PARAMETERS = {
        "schema_file": ExecutionParameter(type=str),
        "schema_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "inferred": ChannelParameter(type=standard_artifacts.Schema),
        "ingestion": ChannelParameter(type=IngestionReport),
        "baseline": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}


class ReferenceSchema(base_component.BaseComponent):
    """Chooses the schema: a given file, else the one kept with the model that serves, else the
    one inferred, completed with the classes that are there.

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
    ):
        """Takes the three sources.

        Args:
            inferred: channel of one Schema, by SchemaGen.
            ingestion: channel of one IngestionReport: the classes of the training split.
            baseline: channel of one Model, by ServingBaseline; may be empty.
            schema_file: a curated or accepted schema, or "".
            schema_digest: of that file; part of the cache key, since the file may change.
        """
        super().__init__(
            ReferenceSchemaSpec(
                inferred=inferred,
                ingestion=ingestion,
                baseline=baseline,
                schema_file=schema_file,
                schema_digest=schema_digest,
                schema=types.Channel(type=standard_artifacts.Schema),
            )
        )
