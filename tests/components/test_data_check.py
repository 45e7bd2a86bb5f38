"""What is wrong with the data, in words."""

from collections.abc import Mapping

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from components.data_check.config import SchemaConfig
from components.data_check.executor import anomaly_findings, class_findings, untrainable
from components.image_example_gen.report import Report
from components.reference_schema.executor import complete, known_classes


def report_of(images: Mapping[str, Mapping[str, int]]) -> Report:
    raise NotImplementedError
