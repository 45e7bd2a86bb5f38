import pytest
import yaml

from components.errors import ConfigError
from components.settings import Settings
from pipeline.config import PipelineConfig
from pipeline.config_reference import render
from pipeline.demo import CONFIG as DEMO_CONFIG
from pipeline.options import effective_config


@pytest.fixture
def config_file(tmp_path):
    def write(text):
        file = tmp_path / "config.yaml"
        file.write_text(text)
        return file

    return write


def test_later_sources_win(config_file):
    file = config_file("data: {max_bytes: 3}\nsplits: {train: 0.6, val: 0.2}\n")

    config = effective_config(file, ["data.max_bytes=4", "data.max_bytes=5"])

    assert config.data.max_bytes == 5
    assert (config.splits.train, config.splits.val, config.splits.test) == (0.6, 0.2, 0.2)


def test_an_empty_file_means_the_defaults(config_file):
    assert effective_config(config_file("")) == PipelineConfig()


def test_values_are_yaml(config_file):
    config = effective_config(sets=["data.class_names=[cat, dog]", "data.fields.split=set"])

    assert config.data.class_names == ("cat", "dog")
    assert config.data.fields.split == "set"


def test_an_item_of_a_list_is_set_by_its_number():
    config = effective_config(sets=["gate.rules.0.min=0.9"])

    assert config.gate.rules[0].min == 0.9
    assert config.gate.rules[1:] == PipelineConfig().gate.rules[1:]


def test_backbone_is_short_for_the_trainers():
    default = PipelineConfig().trainer.backbone

    with pytest.raises(ConfigError, match=f"--backbone .* '{default}'"):
        effective_config(backbone=default + "x")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("splits.trian=0.5", "'splits.trian': did you mean 'train'"),
        ("schema.on_anomly=warn", "'schema.on_anomly': did you mean 'on_anomaly'"),
        ("splitz.val=1", "'splitz': did you mean 'splits'"),
        ("gate.rules.9.min=0.5", "'9' is no item of a list of"),
        ("gate.rules.first.min=0.5", "'first' is no item of a list of"),
        ("data.max_bytes=0", "data.max_bytes: .* greater than 0 .received: 0"),
        ("splits", "key.path=value"),
        ("=3", "key.path=value"),
        ("splits..train=3", "key.path=value"),
        ("data.class_names=[cat", "not valid YAML"),
        ("metadata.url=mysql://ann@db:99999/mlmd", "metadata.url: Port out of range"),
        ("beam.runner=flnk", "did you mean 'flink'"),
        ("data.max_pixels={a: 1, a: 2}", "'a' is given twice"),
    ],
)
def test_a_wrong_setting_is_told_with_its_mend(setting, told):
    with pytest.raises(ConfigError, match=told):
        effective_config(sets=[setting])


def test_a_value_has_nothing_below_it(config_file):
    with pytest.raises(ConfigError, match="'span' is a single value"):
        effective_config(config_file("data: {span: 3}\n"), ["data.span.low=1"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n- b\n", "must be a mapping of settings, received list"),
        ("beam: [1\n", "not valid YAML"),
        ("beam: 1\nbeam: 2\n", "'beam' is given twice"),
        ("beam: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("beem: 1\n", "did you mean 'beam'"),
    ],
)
def test_a_wrong_file_is_told_by_its_name(config_file, text, told):
    with pytest.raises(ConfigError, match=told) as caught:
        effective_config(config_file(text))

    assert "config.yaml" in str(caught.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.yaml' can't be read: No such file"):
        effective_config(tmp_path / "missing.yaml")


def test_a_key_in_an_address_is_not_repeated():
    with pytest.raises(ConfigError, match="credentials belong in a Kubernetes Secret") as caught:
        effective_config(sets=["kubeflow.output=s3://AKIAKEY@bucket/x"])

    assert "s3://***@bucket/x" in str(caught.value)


def test_a_password_in_a_url_is_not_repeated():
    with pytest.raises(ConfigError) as caught:
        effective_config(sets=["metadata.url=mysql://user:hun@ter2@host/db"])

    assert "ter2" not in str(caught.value)
    assert "EFFNET_METADATA_PASSWORD" in str(caught.value)


@pytest.mark.parametrize(
    "sets",
    [
        [],
        ["splits.salt='4 '", "data.class_names=[a, 'no', 'null', '1', '#x', 'a: b', é]"],
        ["gate.rules.0.slice={label: 'a: [b]'}", "gate.slices=[cell type]"],
        ["gate.rules=[{metric: accuracy, min: 1.0e-5}]"],
    ],
)
def test_a_rendered_configuration_reads_back_the_same(config_file, sets):
    config = effective_config(sets=sets)

    assert effective_config(config_file(render(config))) == config


def test_every_setting_is_described():
    def undescribed(model, path):
        for name, field in model.model_fields.items():
            if not field.description:
                yield f"{path}{name}"
            if isinstance(field.default, Settings):
                yield from undescribed(type(field.default), f"{path}{name}.")

    assert not list(undescribed(PipelineConfig, ""))


def test_no_line_of_the_reference_is_wider_than_a_terminal():
    assert max(map(len, render(PipelineConfig()).splitlines())) <= 100


def test_the_demos_file_states_only_differences():
    text = yaml.safe_load(DEMO_CONFIG.read_text())

    assert effective_config(DEMO_CONFIG).serving.model_name == "solar-cells"
    assert text.keys() <= {"serving", "gate", "trainer", "transform"}
