from pathlib import Path

import pytest
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts
from tfx.utils import json_utils, proto_utils

from components.errors import RolloutError
from components.pusher import executor, inference_service
from components.pusher.kubernetes_config import KubernetesConfig
from components.serving_baseline.executor import STATE_PROPERTY
from tests.components.pusher import kube_api


@pytest.fixture
def api(tmp_path, monkeypatch):
    monkeypatch.setattr(inference_service, "_POLL_SECONDS", 0.01)
    api = kube_api.KubeApi()
    with kube_api.serving(api, tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield api


def _push(folder: Path) -> standard_artifacts.PushedModel:
    """Runs the executor on a blessed model."""
    artifacts = {
        "model": standard_artifacts.Model(),
        "model_blessing": standard_artifacts.ModelBlessing(),
        executor.SCHEMA: standard_artifacts.Schema(),
        executor.BASELINE: standard_artifacts.Model(),
        executor.INGESTION: simple_artifacts.File(),
        "pushed_model": standard_artifacts.PushedModel(),
    }
    for name, artifact in artifacts.items():
        artifact.uri = str(folder / name)
        Path(artifact.uri).mkdir(exist_ok=True)
    saved_model = folder / "model" / "Format-Serving"
    saved_model.mkdir(exist_ok=True)
    (saved_model / "saved_model.pb").write_bytes(b"model")
    (folder / executor.SCHEMA / "schema.pbtxt").write_text("")
    artifacts[executor.BASELINE].set_string_custom_property(STATE_PROPERTY, "none")
    artifacts["model_blessing"].set_int_custom_property("blessed", 1)
    filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=str(folder / "classifier"))
    settings = KubernetesConfig(
        namespace=kube_api.NAMESPACE,
        service_name=kube_api.NAME,
        storage_uri="pvc://models/classifier/{version}",
        ready_seconds=0.3,
    )
    pushed = artifacts.pop("pushed_model")
    executor.Executor().Do(
        {name: [artifact] for name, artifact in artifacts.items()},
        {"pushed_model": [pushed]},
        {
            "push_destination": proto_utils.proto_to_json(
                pusher_pb2.PushDestination(filesystem=filesystem)
            ),
            "custom_config": json_utils.dumps(
                {executor.FACTS: {"run_id": "1"}, executor.KEEP: None}
            ),
            executor.KUBERNETES: settings.model_dump_json(),
        },
    )
    return pushed


def test_a_pushed_version_is_what_the_cluster_serves(api, tmp_path):
    pushed = _push(tmp_path)
    assert pushed.get_string_custom_property("pushed_version") == "1"
    assert api.served == [{"pvc://models/classifier/1": 100}]


def test_a_push_that_the_cluster_does_not_take_fails(api, tmp_path):
    api.bad["pvc://models/classifier/1"] = "fails"
    with pytest.raises(RolloutError, match="ModelLoadFailed"):
        _push(tmp_path)
    assert not (tmp_path / "classifier" / "1").exists()
