"""Puts what is wrong with the data into words, and stops or warns."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components import features, run_events
from components.data_check.config import SchemaConfig
from components.data_check.record import FILES, Check
from components.errors import DataError
from components.image_example_gen.report import Report, read_report
from components.reference_schema.executor import complete, known_classes, read_schema

FINDINGS_FILE = "findings.json"
_ANOMALIES_FILE = "SchemaDiff.pb"
_STATISTICS_FILE = "FeatureStats.pb"
_SHOWN = 5


class Executor(base_executor.BaseExecutor):
    """Reads reports and anomalies; decodes nothing."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `findings` artifact, and leaves in the run's folder what was checked.

        Raises:
            DataError: with every finding, unless the settings say to warn only. Classes that
                can't be trained or judged at all stop the run in any case.
        """
        settings = SchemaConfig.parse_json(exec_properties["settings"])
        report = read_report(artifact_utils.get_single_uri(input_dict["ingestion"]))
        schema_dir = artifact_utils.get_single_uri(input_dict["schema"])
        schema = read_schema(Path(io_utils.get_only_uri_in_dir(schema_dir)))
        anomalies = artifact_utils.get_single_instance(input_dict["anomalies"])
        check = Check(
            images=report["images"],
            reference=text_format.MessageToString(schema, as_utf8=True),
            anomalies=tuple(anomaly_findings(read_anomalies(anomalies))),
        )
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        followed = followed_schema(report, schema, statistics)
        run_dir = run_events.run_dir()
        if run_dir is not None:
            check.leave(run_dir, followed)

        fatal = list(untrainable(report))
        findings = [*class_findings(check.images, schema, settings), *check.anomalies]
        if fatal or (findings and settings.on_anomaly == "stop"):
            raise DataError(_message(fatal + findings))
        for finding in findings:
            run_events.warn(finding)
        target = Path(artifact_utils.get_single_uri(output_dict["findings"]))
        text = json.dumps(findings, ensure_ascii=False, indent=2)
        (target / FINDINGS_FILE).write_text(text, encoding="utf-8")
        check.leave(target, followed)


def tell_again(folder: str) -> None:
    """Tells a run that takes the check from the cache what it found when it ran."""
    for finding in json.loads((Path(folder) / FINDINGS_FILE).read_text(encoding="utf-8")):
        run_events.warn(finding)
    run_dir = run_events.run_dir()
    if run_dir is not None:
        for name in FILES:
            shutil.copyfile(Path(folder) / name, run_dir / name)


def followed_schema(report: Report, schema: schema_pb2.Schema, statistics: types.Artifact) -> str:
    """Returns, in text format, a schema that the data follows.

    Classes and values that are new come in, classes of which no image is left go.
    """
    for split in artifact_utils.decode_split_names(statistics.split_names):
        uri = artifact_utils.get_split_uri([statistics], split)
        found = tfdv.load_stats_binary(str(Path(uri) / _STATISTICS_FILE))
        schema = tfdv.update_schema(schema, found)
    seen = {name for images in report["images"].values() for name in images}
    return text_format.MessageToString(complete(schema, sorted(seen)), as_utf8=True)


def untrainable(report: Report) -> Iterator[str]:
    """Yields what no setting can allow."""
    for split in features.SPLITS:
        if not report["images"].get(split):
            yield f"split '{split}' is empty"
    trained = set(report["images"].get(features.TRAIN, ()))
    for split in (features.VAL, features.TEST):
        missing = sorted(set(report["images"].get(split, ())) - trained)
        if missing:
            yield f"no training images of {_names(missing)}, which '{split}' has"


def class_findings(
    images: Mapping[str, Mapping[str, int]], schema: schema_pb2.Schema, settings: SchemaConfig
) -> Iterator[str]:
    """Yields classes that are new, gone, or have too few images, by their numbers in each split."""
    trained = images.get(features.TRAIN, {})
    known = known_classes(schema)
    if known is not None:
        seen = {name for split in images.values() for name in split}
        if new := sorted(seen - known):
            yield (f"never seen before: {_names(new)} ('effnet schema accept' lets new classes in)")
        if gone := sorted(known - seen):
            yield f"no image left of {_names(gone)}, which the schema names"
    few = {name: n for name, n in trained.items() if n < settings.min_images_per_class}
    if few:
        shown = ", ".join(f"'{name}' ({n})" for name, n in sorted(few.items())[:_SHOWN])
        yield (
            f"fewer than {settings.min_images_per_class} training images "
            f"(schema.min_images_per_class): {shown}"
        )


def anomaly_findings(by_split: dict[str, anomalies_pb2.Anomalies]) -> Iterator[str]:
    """Yields TFDV's anomalies, but for the label's values, which are told by class."""
    for split, anomalies in by_split.items():
        for info in anomalies.dataset_anomaly_info.reason:
            yield f"split '{split}': {info.description}"
        for feature, info in sorted(anomalies.anomaly_info.items()):
            for reason in info.reason:
                unexpected_value = anomalies_pb2.AnomalyInfo.ENUM_TYPE_UNEXPECTED_STRING_VALUES
                if feature == features.LABEL and reason.type == unexpected_value:
                    continue
                yield f"feature '{feature}' in '{split}': {reason.description}"


def read_anomalies(artifact: types.Artifact) -> dict[str, anomalies_pb2.Anomalies]:
    """Reads ExampleValidator's output, by split."""
    found = {}
    for split in artifact_utils.decode_split_names(artifact.split_names):
        uri = artifact_utils.get_split_uri([artifact], split)
        anomalies = anomalies_pb2.Anomalies()
        anomalies.ParseFromString((Path(uri) / _ANOMALIES_FILE).read_bytes())
        found[split] = anomalies
    return found


def _message(findings: list[str]) -> str:
    return (
        f"the data is not what it should be: {'; '.join(findings)}. Mend the data, give a "
        "schema that allows it (schema.path), or set schema.on_anomaly to warn."
    )


def _names(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
