import functools

import pytest

from components import features
from components.errors import ConfigError, DataError, OutputError
from components.store import open_store
from pipeline import preflight as module
from pipeline.layout import Output
from pipeline.options import effective_config


@pytest.fixture
def preflight(output):
    return functools.partial(module.preflight, output=output)


def test_it_says_what_it_found(preflight, image_folders):
    text = preflight(effective_config(), str(image_folders))

    assert text == f"found 12 images (folders) in {image_folders}"


def test_a_damaged_record_of_what_serves_is_told(preflight, image_folders, output):
    version = output.serving("classifier") / "1"
    (version / features.EXTRA).mkdir(parents=True)
    (version / "saved_model.pb").touch()
    (version / features.EXTRA / "model.json").write_text("{")
    with pytest.raises(OutputError, match=r"model.json' is damaged"):
        preflight(effective_config(), str(image_folders))


def test_missing_data_is_told(preflight, tmp_path):
    with pytest.raises(DataError, match="doesn't exist"):
        preflight(effective_config(), str(tmp_path / "missing"))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("gate.slices=[colour]", "gate.slices: the data has no column 'colour'"),
        ("gate.rules.0.slice={lable: cat}", "did you mean 'label'"),
        ("gate.rules.0.slice={label: cats}", "no image has label = 'cats'; did you mean 'cat'"),
    ],
)
def test_a_gate_that_could_never_pass_is_told_before_the_training(
    preflight, image_folders, setting, told
):
    with pytest.raises(ConfigError, match=told):
        preflight(effective_config(sets=[setting]), str(image_folders))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("trainer.weights=/missing/model.safetensors", "there is no file '/missing/model"),
        ("trainer.hardware.strategy=workers", "needs several processes"),
        ("trainer.backbone=efficientnet-b1", "the model that serves is an efficientnet-b0"),
    ],
)
def test_a_training_that_cannot_begin_is_told_before_the_data_is_read(
    preflight, output, image_folders, setting, told
):
    extra = output.serving("classifier") / "1" / features.EXTRA
    extra.mkdir(parents=True)
    (extra.parent / "saved_model.pb").write_bytes(b"")
    (extra / features.TRAINING_FILE).write_text('{"backbone": "efficientnet-b0"}')
    with pytest.raises(ConfigError, match=told):
        preflight(
            effective_config(sets=["trainer.warm_start=serving", setting]), str(image_folders)
        )


@pytest.mark.parametrize(
    "setting",
    [
        "gate.rules.0.slice={label: dog}",
        "gate.rules.0.slice={format: jpeg}",
        "gate.rules.0.slice={label: '*'}",
        "gate.rules.0={metric: recall, class: '*', min: 0.5}",
    ],
)
def test_slices_that_may_have_images_pass(preflight, image_folders, setting):
    config = effective_config(sets=[setting])
    assert preflight(config, str(image_folders)).startswith("found 12 images (folders)")


@pytest.mark.parametrize("folder", [".", "output"])
def test_an_output_that_would_be_taken_for_data_is_refused(image_folders, folder):
    with pytest.raises(OutputError, match="lies in the data path"):
        module.preflight(effective_config(), str(image_folders), Output.at(image_folders / folder))


def test_data_may_lie_in_the_output(image_folders):
    output = Output.at(image_folders.parent)
    said = module.preflight(effective_config(), str(image_folders), output)
    assert said.startswith("found 12 images (folders)")


def test_data_and_schema_may_lie_in_a_bucket(preflight, image_folders, s3):
    open_store(s3).put(image_folders, "data/2026-11-24")
    told = preflight(effective_config(), f"{s3}/data/{{DATE}}")
    assert told.endswith(f"(folders, span 2026-11-24) in {s3}/data/2026-11-24")
    config = effective_config(sets=[f"schema.path={s3}/schema.pbtxt"])
    with pytest.raises(ConfigError, match=r"schema\.path: there is no file 's3:"):
        preflight(config, f"{s3}/data/{{DATE}}")
    open_store(s3).write_text("schema.pbtxt", "")
    preflight(config, f"{s3}/data/{{DATE}}")


def test_a_missing_schema_is_told(preflight, image_folders):
    with pytest.raises(ConfigError, match=r"schema\.path: there is no file 'none'"):
        preflight(effective_config(sets=["schema.path=none"]), str(image_folders))


def test_a_missing_password_is_told(preflight, image_folders, monkeypatch):
    config = effective_config(sets=["metadata.url=mysql://ann@db/mlmd"])
    monkeypatch.delenv("EFFNET_METADATA_PASSWORD", raising=False)
    with pytest.raises(ConfigError, match="EFFNET_METADATA_PASSWORD, which is not set"):
        preflight(config, str(image_folders))

    monkeypatch.setenv("EFFNET_METADATA_PASSWORD", "")

    preflight(config, str(image_folders))
