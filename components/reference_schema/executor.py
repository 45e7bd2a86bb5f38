"""Chooses, completes and writes the reference schema."""

import os
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components import features
from components.errors import DataError
from components.image_example_gen.report import read_report
from components.serving_baseline.executor import kept_schema
from components.store import open_store

SCHEMA_FILE = "schema.pbtxt"
# Named so that a reader of the schema sees that classes are added there.
LABEL_DOMAIN = "labels"
# Columns whose values need not have been seen before; of formats, ingestion knows the right ones.
_ANY_VALUE = (features.ID, features.GROUP, features.CONTENT_HASH, features.FORMAT)


class Executor(base_executor.BaseExecutor):
    """Writes one schema.pbtxt."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `reference` artifact.

        Raises:
            DataError: if a given schema can't be read.
        """
        baseline = artifact_utils.get_single_instance(input_dict["baseline"])
        given = exec_properties["schema_file"]
        source = given or kept_schema(baseline)
        if source is not None:
            schema = read_schema(source)
        else:
            inferred = artifact_utils.get_single_uri(input_dict["inferred"])
            report = read_report(artifact_utils.get_single_uri(input_dict["ingestion"]))
            schema = complete(
                read_schema(Path(io_utils.get_only_uri_in_dir(inferred))),
                sorted(report["images"][features.TRAIN]),
            )
        target = Path(artifact_utils.get_single_uri(output_dict["reference"])) / SCHEMA_FILE
        tfdv.write_schema_text(schema, str(target))


def read_schema(place: str | Path) -> schema_pb2.Schema:
    """Reads a schema in text format.

    Args:
        place: a path, or an address on S3 or GCS.

    Raises:
        DataError: if there is none at this place.
        StoreError: if the bucket can't be used.
    """
    folder, name = os.path.split(place)
    try:
        text = open_store(folder).read_bytes(name).decode("utf-8")
        return text_format.Parse(text, schema_pb2.Schema())
    except (OSError, text_format.ParseError, UnicodeDecodeError) as error:
        raise DataError(
            f"the schema '{place}' can't be read ({error}); it must be a "
            "tensorflow.metadata.v0.Schema in text format"
        ) from error


def complete(schema: schema_pb2.Schema, classes: list[str]) -> schema_pb2.Schema:
    """Returns an inferred schema with the domain of the label, and without accidental ones.

    TFDV infers a domain only up to a number of values, and for any column with few of them.
    """
    completed = schema_pb2.Schema()
    completed.CopyFrom(schema)
    for feature in completed.feature:
        if feature.name in _ANY_VALUE:
            feature.ClearField("domain_info")
        if feature.name == features.LABEL:
            feature.domain = LABEL_DOMAIN
    used = {feature.domain for feature in completed.feature if feature.domain}
    kept = [domain for domain in completed.string_domain if domain.name in used - {LABEL_DOMAIN}]
    del completed.string_domain[:]
    completed.string_domain.extend(kept)
    completed.string_domain.add(name=LABEL_DOMAIN, value=classes)
    return completed


def known_classes(schema: schema_pb2.Schema) -> set[str] | None:
    """Returns the classes that a schema allows, or None where it names none."""
    for feature in schema.feature:
        if feature.name == features.LABEL:
            domains = {domain.name: set(domain.value) for domain in schema.string_domain}
            if feature.WhichOneof("domain_info") == "string_domain":
                return set(feature.string_domain.value)
            return domains.get(feature.domain)
    return None
