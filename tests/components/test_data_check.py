"""What is wrong with the data, in words."""

from pathlib import Path

import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.types import standard_artifacts

from components.data_check.config import SchemaConfig
from components.data_check.executor import (
    anomaly_findings,
    class_findings,
    followed_schema,
    untrainable,
)
from components.data_check.record import CHECK_FILE, FOLLOWED_FILE, Check
from components.errors import DataError
from components.reference_schema.executor import complete, known_classes
from components.store import open_store

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


@pytest.fixture
def statistics(tmp_path: Path) -> standard_artifacts.ExampleStatistics:
    """Of a training split with a column's value that no schema knows yet."""
    artifact = standard_artifacts.ExampleStatistics()
    artifact.uri, artifact.split_names = str(tmp_path / "statistics"), '["train"]'
    folder = Path(artifact.uri) / "Split-train"
    folder.mkdir(parents=True)
    rows = pd.DataFrame({"label": ["dress", "scarf"], "cell_type": ["mono", "thin"]})
    found = tfdv.generate_statistics_from_dataframe(rows)
    (folder / "FeatureStats.pb").write_bytes(found.SerializeToString())
    return artifact


def test_a_schema_that_the_data_follows_has_what_is_new(schema, statistics) -> None:
    images = report(train={"dress": 1, "scarf": 1})
    followed = text_format.Parse(followed_schema(images, schema, statistics), schema_pb2.Schema())
    assert known_classes(followed) == {"dress", "scarf"}
    (cells,) = [set(one.value) for one in followed.string_domain if one.name == "cell_type"]
    assert cells == {"mono", "poly", "thin"}


def test_what_a_check_leaves_is_read_again(tmp_path: Path) -> None:
    check = Check(images={"train": {"hat": 3}}, reference="feature {}", anomalies=("odd",))
    run = open_store(str(tmp_path))
    assert Check.read(run) is None
    check.leave(tmp_path, "followed")
    assert Check.read(run) == check
    assert run.read_text(FOLLOWED_FILE) == "followed"


def test_a_damaged_record_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / CHECK_FILE).write_text('{"images": ')
    with pytest.raises(DataError, match=f"{CHECK_FILE} is damaged: remove it"):
        Check.read(open_store(str(tmp_path)))
