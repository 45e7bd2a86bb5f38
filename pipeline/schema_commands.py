"""`effnet schema`: how the last run's data differs from the schema, and letting it in."""

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data_check.executor import class_findings
from components.data_check.record import FOLLOWED_FILE, Check
from components.errors import ConfigError, DataError
from components.store import Store
from pipeline.config import PipelineConfig
from pipeline.layout import SCHEMA_FOLDER, is_run_id


def diff(output: Store, config: PipelineConfig) -> list[str]:
    """Returns how the last run's data differs from its schema, in words; [] where it does not.

    Args:
        output: of runs on this machine, or on a cluster.
        config: says how many images a class needs.

    Raises:
        DataError: if no run in this output got as far.
        StoreError: if it can't be read.
    """
    _, check = _last_checked(output)
    schema = text_format.Parse(check.reference, schema_pb2.Schema())
    return [*class_findings(check.images, schema, config.data_schema), *check.anomalies]


def accept(output: Store, config: PipelineConfig) -> str:
    """Writes a schema that the last run's data follows, for the next runs; returns where.

    Classes and values that are new come in, classes of which no image is left go.

    Raises:
        ConfigError: if the configuration names a curated schema, which would win over it.
        DataError: if no run in this output got as far as the check of its data.
        StoreError: if it can't be read or written.
    """
    if config.data_schema.path is not None:
        raise ConfigError(
            f"schema.path is set to '{config.data_schema.path}', which is used whatever is "
            "accepted here: edit that file, or remove the setting"
        )
    run, _ = _last_checked(output)
    followed = run.read_bytes(FOLLOWED_FILE).decode("utf-8")
    target, name = output.child(SCHEMA_FOLDER), f"{config.serving.model_name}.pbtxt"
    target.write_text(name, followed)
    return f"{target.address}/{name}"


def _last_checked(output: Store) -> tuple[Store, Check]:
    """Returns the folder of the last run that got as far, and what it checked."""
    runs = output.child("runs")
    for name in filter(is_run_id, reversed(runs.names())):
        check = Check.read(runs.child(name))
        if check is not None:
            return runs.child(name), check
    raise DataError(
        f"no run in '{output.address}' has checked its data yet; run 'effnet run' on it first, or "
        "'effnet submit' where it is that of a cluster"
    )
