"""`effnet schema`: how the last run's data differs from the schema, and letting it in."""

from dataclasses import dataclass
from pathlib import Path

import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components import features
from components.data_check.executor import anomaly_findings, class_findings, read_anomalies
from components.errors import ConfigError, DataError
from components.image_example_gen.report import Report, read_report
from components.reference_schema.executor import complete, read_schema
from pipeline import metadata
from pipeline.config import PipelineConfig
from pipeline.files import write_atomically
from pipeline.layout import Output

_STATISTICS_FILE = "FeatureStats.pb"


@dataclass(frozen=True)
class Checked:
    """What the last run that got as far as the check of its data had to check."""

    report: Report
    schema: schema_pb2.Schema
    anomalies: types.Artifact
    statistics: types.Artifact


def diff(output: Output, config: PipelineConfig) -> list[str]:
    """Returns how the last run's data differs from its schema, in words; [] where it does not.

    Raises:
        DataError: if no run in this output folder got as far.
    """
    checked = _last_checked(output, config)
    return [
        *class_findings(checked.report, checked.schema, config.data_schema),
        *anomaly_findings(read_anomalies(checked.anomalies)),
    ]


def accept(output: Output, config: PipelineConfig) -> Path:
    """Writes a schema that the last run's data follows, for the next runs; returns where.

    Classes and values that are new come in, classes of which no image is left go.

    Raises:
        ConfigError: if the configuration names a curated schema, which would win over it.
        DataError: if no run in this output folder got as far as the check of its data.
    """
    if config.data_schema.path is not None:
        raise ConfigError(
            f"schema.path is set to '{config.data_schema.path}', which is used whatever is "
            "accepted here: edit that file, or remove the setting"
        )
    checked = _last_checked(output, config)
    schema = checked.schema
    for split in features.SPLITS:
        uri = artifact_utils.get_split_uri([checked.statistics], split)
        statistics = tfdv.load_stats_binary(str(Path(uri) / _STATISTICS_FILE))
        schema = tfdv.update_schema(schema, statistics)
    seen = {name for images in checked.report["images"].values() for name in images}
    text = text_format.MessageToString(complete(schema, sorted(seen)), as_utf8=True)
    target = output.accepted_schema(config.serving.model_name)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, text)
    return target


def _last_checked(output: Output, config: PipelineConfig) -> Checked:
    connection = metadata.connection_config(config.metadata, output.metadata)
    for run in reversed(output.all_runs()):
        found = metadata.run_outputs(connection, run.id)
        if {"ingestion", "reference", "anomalies", "statistics"} <= found.keys():
            reference = artifact_utils.get_single_uri(found["reference"])
            return Checked(
                report=read_report(artifact_utils.get_single_uri(found["ingestion"])),
                schema=read_schema(Path(io_utils.get_only_uri_in_dir(reference))),
                anomalies=artifact_utils.get_single_instance(found["anomalies"]),
                statistics=artifact_utils.get_single_instance(found["statistics"]),
            )
    raise DataError(
        f"no run in '{output.root}' has checked its data yet; run 'effnet run' on it first"
    )
