import pytest

from components.errors import ConfigError, DataError
from pipeline.options import effective_config
from pipeline.preflight import preflight


def test_it_says_what_it_found(image_folders):
    text = preflight(effective_config(), str(image_folders))

    assert text == f"found 12 images (folders) in {image_folders}"


def test_missing_data_is_told(tmp_path):
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
def test_a_gate_that_could_never_pass_is_told_before_the_training(image_folders, setting, told):
    with pytest.raises(ConfigError, match=told):
        preflight(effective_config(sets=[setting]), str(image_folders))


@pytest.mark.parametrize("rule", ["{label: dog}", "{format: jpeg}"])
def test_slices_that_may_have_images_pass(image_folders, rule):
    preflight(effective_config(sets=[f"gate.rules.0.slice={rule}"]), str(image_folders))
