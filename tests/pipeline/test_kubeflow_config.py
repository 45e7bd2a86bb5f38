import pytest

from components.errors import ConfigError
from pipeline.build import create_pipeline
from pipeline.config import PipelineConfig
from pipeline.kfp.compile import locations
from pipeline.kubeflow_config import NODES


def parse(**kubeflow):
    return PipelineConfig.parse({"kubeflow": kubeflow}).kubeflow


def test_the_nodes_are_those_of_the_pipeline():
    values = {"trainer": {"search": {"enabled": True}}, "retrain": {"if_changed": True}}
    config = PipelineConfig.parse(values)
    pipeline = create_pipeline(config, locations(config), "run")
    assert {node.id for node in pipeline.components} == set(NODES)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"nodes": {"Traner": {}}}, "unknown node 'Traner': did you mean 'Trainer'"),
        ({"nodes": {"Trainer": {"gpus": 1}}}, "did you mean 'gpu'"),
        ({"placement": {"memory_limit": "16 GB"}}, "memory_limit"),
        ({"pipeline_root": "mlpipeline/root"}, "minio://BUCKET/PATH or s3://BUCKET/PATH or gs"),
        ({"pipeline_root": "/mnt/root"}, "it must be minio://BUCKET/PATH"),
        ({"output": "output"}, "an absolute path on a mounted volume"),
        ({"output": "s3://"}, "s3://BUCKET/PATH"),
        ({"placement": {"tolerations": [{"value": "x"}]}}, "operator: Equal"),
        ({"placement": {"env": {"2A": ""}}}, "no name of an environment variable"),
        (
            {"placement": {"gpu": {}, "tpu": {"accelerator": "x", "topology": "2x4", "chips": 8}}},
            "not on both",
        ),
    ],
)
def test_what_cant_be_used_is_told(given, told):
    with pytest.raises(ConfigError, match=told):
        parse(**given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("EFFNET_NOTIFY_WEBHOOK", "https://chat.example.org/hunter2"),
        ("HTTPS_PROXY", "http://me:hunter2@proxy:3128"),
    ],
)
def test_secrets_are_kept_out_of_a_packages_environment(name, value):
    with pytest.raises(ConfigError, match="name that in secret_env") as error:
        parse(placement={"env": {name: value}})
    assert "hunter2" not in str(error.value)


def test_secrets_are_kept_out_of_a_package():
    with pytest.raises(ConfigError, match="credentials belong in a Kubernetes Secret") as error:
        parse(output="s3://me:hunter2@bucket/path")
    assert "hunter2" not in str(error.value)
    path = {"GOOGLE_APPLICATION_CREDENTIALS": "/secrets/key.json"}
    assert parse(placement={"env": path}).placement.env == path


def test_a_nodes_own_settings_stand_over_those_of_all():
    kubeflow = parse(
        placement={
            "memory_limit": "4Gi",
            "retries": 2,
            "env": {"A": "1", "B": "1"},
            "volumes": [{"claim": "data", "path": "/data"}],
        },
        nodes={
            "Trainer": {
                "memory_limit": "16Gi",
                "env": {"B": "2"},
                "volumes": [{"claim": "cache", "path": "/cache"}],
            },
            "Pusher": {"retries": 0},
        },
    )
    trainer = kubeflow.placement_of("Trainer")
    assert (trainer.memory_limit, trainer.retries) == ("16Gi", 2)
    assert trainer.env == {"A": "1", "B": "2"}
    assert [volume.claim for volume in trainer.volumes] == ["data", "cache"]
    assert kubeflow.placement_of("Pusher").retries == 0
    assert kubeflow.placement_of("SchemaGen") == kubeflow.placement


def test_a_nodes_tpu_takes_the_place_of_the_gpus_of_all():
    tpu = {"accelerator": "tpu-v5-lite-podslice", "topology": "2x4", "chips": 8}
    kubeflow = parse(placement={"gpu": {"count": 1}}, nodes={"Trainer": {"tpu": tpu}})
    trainer = kubeflow.placement_of("Trainer")
    assert trainer.gpu is None
    assert trainer.tpu.chips == 8
