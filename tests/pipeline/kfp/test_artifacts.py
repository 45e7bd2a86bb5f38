"""Artifacts on their way through the backend and back."""

from pathlib import Path

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2
from tfx.types import standard_artifacts

from pipeline.kfp.artifacts import MOUNTS_VARIABLE, properties, read_artifact
from tests.kfp_backend.metadata import MetadataStore
from tests.kfp_backend.values import to_json


def test_properties_come_back_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MOUNTS_VARIABLE, str(tmp_path))
    made = standard_artifacts.Examples()
    made.split_names = '["train"]'
    made.span = 3
    made.set_string_custom_property("digest", "abc")
    made.set_int_custom_property("blessed", 1)
    made.set_float_custom_property("share", 0.5)
    made.set_json_value_custom_property("rates", {"train": 1.5})
    made.set_json_value_custom_property("listed", ["a", "b"])
    told = spec_pb2.RuntimeArtifact(uri="minio://bucket/run/examples")
    json_format.ParseDict(properties(made), told.metadata)
    stored = MetadataStore().publish("examples", told)
    read = read_artifact(to_json(stored.as_input()), standard_artifacts.Examples)
    assert read.uri == str(tmp_path / "minio/bucket/run/examples")
    assert (read.split_names, read.span) == ('["train"]', 3)
    assert read.get_string_custom_property("digest") == "abc"
    assert read.get_int_custom_property("blessed") == 1
    assert read.get_float_custom_property("share") == 0.5
    assert read.get_json_value_custom_property("rates") == {"train": 1.5}
    assert read.get_json_value_custom_property("listed") == ["a", "b"]
