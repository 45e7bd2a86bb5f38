import pytest

from components.errors import ConfigError
from pipeline.kfp.package import Package
from tests.pipeline.kfp.golden import FOLDER


def test_a_package_tells_what_a_run_can_set(package, tmp_path):
    found = Package.read(package)

    assert found.name == "effnet-test"
    assert found.images == ["registry/effnet:1"]
    assert found.defaults == {
        "data": "/data",
        "gate_1_accuracy_min": 0.8,
        "views": 1.0,
        "force": False,
    }
    assert found.output == str(tmp_path / "output")
    assert "kubernetes" in found.platform["platforms"]


def test_values_are_read_by_the_kind_of_their_parameter(package):
    texts = ["data=s3://bucket/a=b", "gate_1_accuracy_min=9e-1", "views=3", "force=true"]

    found = Package.read(package).arguments(texts)

    assert found == {
        "data": "s3://bucket/a=b",
        "gate_1_accuracy_min": 0.9,
        "views": 3,
        "force": True,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dat=/x", "unknown parameter 'dat': did you mean 'data'"),
        ("data", "takes name=value, received 'data'"),
        ("gate_1_accuracy_min=high", "gate_1_accuracy_min: expected a NUMBER_DOUBLE.*'high'"),
        ("gate_1_accuracy_min=.nan", "expected a NUMBER_DOUBLE"),
        ("gate_1_accuracy_min=true", "expected a NUMBER_DOUBLE"),
        ("views=1.5", "expected a NUMBER_INTEGER"),
        ("views=[", "expected a NUMBER_INTEGER"),
        ("force=1", "expected a BOOLEAN"),
    ],
)
def test_values_that_do_not_fit_are_told(package, text, told):
    with pytest.raises(ConfigError, match=told):
        Package.read(package).arguments([text])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.yaml", None, "No such file.*effnet compile"),
        ("a.json", "{}", "does not end in .yaml"),
        ("a.yaml", "a: [", "not valid YAML"),
        ("a.yaml", "!!python/object/apply:os.getcwd []", "not valid YAML"),
        ("a.yaml", "- 1", "not one PipelineSpec"),
        ("a.yaml", "", "not one PipelineSpec"),
        ("a.yaml", "pipelineSpec: {}", "no PipelineSpec of schema 2.1.0"),
    ],
)
def test_what_is_no_package_is_told(tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=told):
        Package.read(tmp_path / name)


def test_a_package_tells_which_model_it_trains(package):
    """So that schedules of two models do not take each other's place."""
    assert Package.read(FOLDER / "kfp.yaml").model == "classifier"
    assert Package.read(package).model is None
