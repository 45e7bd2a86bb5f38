from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.kfp import client, submit
from tests.kubeflow_api import Backend, kubeflow_api

PIPELINE = "effnet-test"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Backend]:
    """An empty Kubeflow that the commands find; nothing of this machine's own credentials."""
    for name in (client.TOKEN_VARIABLE, client.COOKIES_VARIABLE, client.TOKEN_FILE_VARIABLE,
                 client.UI_VARIABLE, client.CERTIFICATES_VARIABLE, "KUBERNETES_SERVICE_HOST",
                 "KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(client, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(submit, "_POLL_SECONDS", 0)
    with kubeflow_api() as backend:
        monkeypatch.setenv(client.ENDPOINT_VARIABLE, backend.endpoint)
        yield backend


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The file of a package with parameters of each kind."""
    return write_package(tmp_path / "pipeline.yaml", str(tmp_path / "output"))


def write_package(path: Path, output: str, image: str = "registry/effnet:1", **more: Any) -> Path:
    """Writes a package of two tasks, as the compiler does."""
    parameters = {
        "data": {"parameterType": "STRING", "defaultValue": "/data", "isOptional": True},
        "gate_1_accuracy_min": {
            "parameterType": "NUMBER_DOUBLE", "defaultValue": 0.8, "isOptional": True,
        },
        "views": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1.0, "isOptional": True},
        "force": {"parameterType": "BOOLEAN", "defaultValue": False, "isOptional": True},
    }  # fmt: skip
    told = {"parameters": {"effnet_output": {"runtimeValue": {"constant": output}}}}
    tasks = {
        "Trainer": {"componentRef": {"name": "Trainer"}, "taskInfo": {"name": "Trainer"}},
        "finish": {
            "componentRef": {"name": "finish"}, "taskInfo": {"name": "finish"}, "inputs": told,
        },
    }  # fmt: skip
    container = {"image": image, "command": ["python"]}
    spec = {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": PIPELINE},
        "root": {"inputDefinitions": {"parameters": parameters}, "dag": {"tasks": tasks}},
        "components": {name: {"executorLabel": f"{name}_executor"} for name in tasks},
        "deploymentSpec": {
            "executors": {f"{name}_executor": {"container": container} for name in tasks}
        },
        **more,
    }
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
    path.write_text(yaml.safe_dump_all([spec, platform]), encoding="utf-8")
    return path
