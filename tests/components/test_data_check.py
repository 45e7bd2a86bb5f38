"""What is wrong with the data, in words."""

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from components.data_check.config import SchemaConfig
from components.data_check.executor import anomaly_findings, class_findings, untrainable
from components.reference_schema.executor import complete, known_classes

INFERRED = """
feature { name: "label" type: BYTES }
feature { name: "id" type: BYTES domain: "id" }
feature { name: "cell_type" type: BYTES domain: "cell_type" }
string_domain { name: "id" value: "a.jpg" }
string_domain { name: "cell_type" value: "mono" value: "poly" }
"""


def report(**images: dict[str, int]) -> dict:
    return {"images": {"train": {}, "val": {}, "test": {}} | images}


@pytest.fixture
def schema() -> schema_pb2.Schema:
    return complete(text_format.Parse(INFERRED, schema_pb2.Schema()), ["dress", "hat"])


def test_a_completed_schema_knows_classes_and_keeps_only_meant_domains(
    schema: schema_pb2.Schema,
) -> None:
    assert known_classes(schema) == {"dress", "hat"}
    domains = {domain.name: list(domain.value) for domain in schema.string_domain}
    assert domains == {"cell_type": ["mono", "poly"], "labels": ["dress", "hat"]}
    assert known_classes(complete(schema, ["scarf"])) == {"scarf"}


def test_classes_new_gone_and_too_small_are_named(schema: schema_pb2.Schema) -> None:
    found = list(
        class_findings(
            report(train={"dress": 9, "scarf": 2}, test={"dress": 1})["images"],
            schema,
            SchemaConfig(min_images_per_class=3),
        )
    )
    assert len(found) == 3
    assert "never seen before: 'scarf'" in found[0]
    assert "no image left of 'hat'" in found[1]
    assert "fewer than 3 training images" in found[2]
    assert "'scarf' (2)" in found[2]


def test_good_data_has_no_findings(schema: schema_pb2.Schema) -> None:
    good = report(train={"dress": 9, "hat": 9}, val={"hat": 1}, test={"dress": 1})
    assert list(class_findings(good["images"], schema, SchemaConfig())) == []
    assert list(untrainable(good)) == []


def test_what_cannot_be_trained_is_told_whatever_the_settings() -> None:
    found = list(untrainable(report(train={"dress": 9}, test={"dress": 1, "hat": 1})))
    assert found == ["split 'val' is empty", "no training images of 'hat', which 'test' has"]


def test_anomalies_are_told_but_the_labels_values_only_once() -> None:
    text = """
    anomaly_info {
      key: "label"
      value { reason { type: ENUM_TYPE_UNEXPECTED_STRING_VALUES description: "unseen: scarf" } }
    }
    anomaly_info {
      key: "cell_type"
      value { reason { type: ENUM_TYPE_UNEXPECTED_STRING_VALUES description: "unseen: thin" } }
    }
    """
    anomalies = text_format.Parse(text, anomalies_pb2.Anomalies())
    assert list(anomaly_findings({"test": anomalies})) == [
        "feature 'cell_type' in 'test': unseen: thin"
    ]
