import pytest
from tensorflow.core.protobuf import saved_model_pb2
from tfx.orchestration.portable.data_types import ExecutionInfo
from tfx.types import standard_artifacts

from components import features
from components.errors import DataError
from components.model_versions import Version, versions_at
from components.serving_baseline.driver import Driver
from components.serving_baseline.executor import (
    Executor,
    check_comparable,
    has_model,
    judged_state,
    kept_schema,
)


@pytest.fixture
def version(tmp_path):
    """Returns what makes a version with signatures, each with its outputs."""

    def make(signatures):
        model = saved_model_pb2.SavedModel()
        graph = model.meta_graphs.add()
        for name, outputs in signatures.items():
            for output in outputs:
                graph.signature_def[name].outputs[output].name = "tensor:0"
        (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
        training = tmp_path / features.EXTRA / features.TRAINING_FILE
        training.parent.mkdir()
        training.write_text('{"classes": ["a", "b"]}')
        return Version(7, tmp_path)

    return make


def test_a_model_of_ours_is_taken(version, tmp_path):
    check_comparable(
        version(
            {
                "serving_default": ["probabilities", "label", "score"],
                "transform_labels": ["label_id", "label_known"],
            }
        ),
        str(tmp_path),
    )


def test_a_model_of_another_make_is_told(version, tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}.* lacks the signature 'transform_labels'"):
        check_comparable(version({"serving_default": ["probabilities", "label"]}), str(tmp_path))


def test_a_model_that_does_not_tell_its_classes_is_told(version, tmp_path):
    found = version(
        {
            "serving_default": ["probabilities", "label"],
            "transform_labels": ["label_id", "label_known"],
        }
    )
    (tmp_path / features.EXTRA / features.TRAINING_FILE).unlink()
    with pytest.raises(DataError, match=r"lacks its classes in assets.extra/training.json"):
        check_comparable(found, str(tmp_path))


def test_a_file_that_is_no_model_is_told(version, tmp_path):
    junk = version({})
    (tmp_path / "saved_model.pb").write_bytes(b"\xffjunk")

    with pytest.raises(DataError, match="'serving_default' with label, probabilities and"):
        check_comparable(junk, str(tmp_path))


def test_what_serves_in_a_bucket_is_fetched(version, s3, tmp_path):
    place = f"{s3}/serving/classifier"
    outputs = {
        "serving_default": ["probabilities", "label"],
        "transform_labels": ["label_id", "label_known"],
    }
    model = version(outputs).path
    schema = tmp_path / "schema.pbtxt"
    schema.write_text("feature {}")
    baseline = standard_artifacts.Model()
    baseline.uri = str(tmp_path / "nothing")
    Executor().Do({}, {"baseline": [baseline]}, {"model_dir": place})
    assert not has_model(baseline)
    assert judged_state(baseline) == "none"

    pushed, _ = versions_at(place).publish(model, schema=schema, facts={})
    seen = Driver(None).run(ExecutionInfo(exec_properties={"model_dir": place}))
    state = seen.exec_properties["serving_state"].string_value
    assert state == f"1:{pushed.digest}"
    baseline.uri = str(tmp_path / "baseline")
    properties = {"model_dir": place, "serving_state": state}
    Executor().Do({}, {"baseline": [baseline]}, properties)
    assert has_model(baseline)
    assert judged_state(baseline) == state
    assert (tmp_path / "baseline" / "Format-Serving" / "saved_model.pb").is_file()
    assert kept_schema(baseline).read_text() == "feature {}"
