import subprocess
import sys

import pytest

from components.errors import ConfigError, OutputError
from pipeline.compile_command import check, compile_to
from pipeline.config import PipelineConfig

KUBEFLOW = {
    "image": "registry/effnet:1",
    "pipeline_root": "minio://mlpipeline/effnet",
    "data": "/mnt/data",
    "output": "/mnt/output",
}


def effnet(*options, code="from pipeline.cli import main; main()"):
    return subprocess.run(
        [sys.executable, "-c", code, "compile", *map(str, options)], capture_output=True, text=True
    )


def test_all_that_is_missing_is_told_at_once(tmp_path):
    result = effnet("--output", tmp_path / "package.yaml", "--image", "registry/effnet:1")
    assert result.returncode == 2
    assert "kubeflow.pipeline_root" in result.stderr
    assert "kubeflow.output" in result.stderr
    assert "kubeflow.image" not in result.stderr


def test_without_kubeflows_sdk_it_is_told_how_to_install_it(tmp_path):
    code = (
        "import sys; sys.modules['kfp'] = None\n"
        "from pipeline.cli import app\n"
        "try: app()\n"
        "finally: assert 'tensorflow' not in sys.modules"
    )
    sets = [f"--set=kubeflow.{key}={value}" for key, value in KUBEFLOW.items()]
    result = effnet("--output", tmp_path / "package.yaml", *sets, code=code)
    assert result.returncode == 2
    assert "pip install 'effnet-tfx[kfp]'" in result.stderr


@pytest.mark.parametrize("key", ["trainer.weights", "schema.path"])
def test_files_must_be_where_tasks_can_find_them(key):
    section, name = key.split(".")
    values = {"kubeflow": KUBEFLOW, section: {name: "files/mine.h5"}}
    with pytest.raises(ConfigError, match=f"{key} is 'files/mine.h5'.*an absolute path"):
        check(PipelineConfig.parse(values), "kfp")


def test_a_curated_schema_may_be_in_a_bucket():
    values = {"kubeflow": KUBEFLOW, "schema": {"path": "s3://bucket/schema.pbtxt"}}
    check(PipelineConfig.parse(values), "kfp")


VERTEX = {
    **KUBEFLOW,
    "pipeline_root": "gs://bucket/artifacts",
    "data": "/gcs/bucket/images",
    "output": "gs://bucket/output",
}


def test_vertex_takes_what_is_in_gcs():
    check(PipelineConfig.parse({"kubeflow": VERTEX}), "vertex")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"pipeline_root": "minio://bucket/artifacts"}, "pipeline_root is .* gs://BUCKET/PATH"),
        ({"data": "/mnt/data"}, "data is '/mnt/data', but machines of Vertex AI mount no volumes"),
        ({"output": "/mnt/output"}, "output is '/mnt/output'.* or /gcs/BUCKET/PATH"),
        ({"timeout_seconds": 60}, "timeout_seconds can't be had on Vertex AI"),
        ({"image_pull_secrets": ["registry"]}, "image_pull_secrets can't be had on Vertex AI"),
    ],
)
def test_what_vertex_has_not_is_refused(given, told):
    with pytest.raises(ConfigError, match=told):
        check(PipelineConfig.parse({"kubeflow": {**VERTEX, **given}}), "vertex")


def test_the_task_that_tells_the_webhook_must_know_it():
    values = {"notify": {"enabled": True}, "kubeflow": KUBEFLOW}
    with pytest.raises(ConfigError, match=r"kubeflow\.nodes\.finish\.secret_env"):
        check(PipelineConfig.parse(values), "kfp")
    secret = {"secret": "effnet-notify", "keys": {"url": "EFFNET_NOTIFY_WEBHOOK"}}
    nodes = {"finish": {"secret_env": [secret]}}
    check(PipelineConfig.parse({**values, "kubeflow": {**KUBEFLOW, "nodes": nodes}}), "kfp")


def test_no_folder_is_made_for_the_package(tmp_path):
    sets = [f"--set=kubeflow.{key}={value}" for key, value in KUBEFLOW.items()]
    result = effnet("--output", tmp_path / "no" / "package.yaml", *sets)
    assert result.returncode == 2
    assert "there is no folder" in result.stderr


@pytest.mark.parametrize(("target", "name"), [("kfp", "a.json"), ("vertex", "a.yaml")])
def test_a_file_is_named_as_the_target_wants_it(tmp_path, target, name):
    with pytest.raises(OutputError, match=r"ends in \.(yaml|json)"):
        compile_to(PipelineConfig.parse({"kubeflow": VERTEX}), target, tmp_path / name)


def test_the_command_writes_the_package(tmp_path):
    sets = [f"--set=kubeflow.{key}={value}" for key, value in KUBEFLOW.items()]
    result = effnet("--output", tmp_path / "package.yaml", *sets)
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "package.yaml").read_text()
    assert 'schemaVersion: "2.1.0"' in text
