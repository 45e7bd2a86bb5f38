import json
import os
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest

from pipeline.kfp.tf_job import Owner, end_of, manifest, pod_names, running
from pipeline.kubeflow_config import KubeflowConfig
from tests.lost_keys import lost_keys

# Its models are the operator's own; it wants another Kubernetes client than TFX, so it lies apart.
SDK = "kubeflow-training==1.9.4"
READ = """
import json, sys
from types import SimpleNamespace
from kubeflow.training import ApiClient
api = ApiClient()
job = api.deserialize(SimpleNamespace(data=sys.stdin.read()), "KubeflowOrgV1TFJob")
print(json.dumps(api.sanitize_for_serialization(job)))
"""
CONFIG = {
    "image": "registry/effnet:1",
    "image_pull_secrets": ["registry"],
    "image_pull_policy": "Always",
    "placement": {
        "cpu_request": "4",
        "memory_request": "8Gi",
        "memory_limit": "16Gi",
        "volumes": [
            {"claim": "effnet", "path": "/effnet"},
            {"claim": "effnet", "path": "/weights", "sub_path": "weights"},
        ],
        "secret_volumes": [{"secret": "hub", "path": "/secrets/hub"}],
        "timeout_seconds": 7200,
    },
    "nodes": {
        "Trainer": {
            "image": "registry/effnet:1-gpu",
            "gpu": {"count": 2, "type": "nvidia-l4"},
            "node_selector": {"pool": "training"},
            "tolerations": [
                {"key": "nvidia.com/gpu", "effect": "NoSchedule"},
                {"key": "team", "operator": "Equal", "value": "vision"},
            ],
            "secret_env": [{"secret": "s3", "keys": {"id": "AWS_ACCESS_KEY_ID"}}],
            "env": {"NCCL_DEBUG": "WARN"},
        }
    },
    "workers": {"count": 3, "shared": "/effnet/shared"},
}


@pytest.fixture
def job():
    config = KubeflowConfig.parse(CONFIG).of_workers()
    # As it travels to the task.
    config = KubeflowConfig.parse_json(config.model_dump_json())
    owner = Owner("effnet-xyz-1", "0f1e2d3c")
    return manifest("effnet-trainer-0a", config, ["python", "chief"], ["python", "other"], owner)


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kubeflow-training")
    install = ["-m", "tools.uv", "pip", "install", "--no-deps", "--target", str(folder), SDK]
    done = subprocess.run(
        [sys.executable, *install],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        text = f"{SDK} can't be installed, so TFJobs were not read by its models: {done.stderr}"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    return folder


def read(sdk: Path, job: dict) -> dict:
    """Reads a job by the models of the operator's own client, and writes it again."""
    done = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=sdk,
        env={**os.environ, "PYTHONPATH": str(sdk)},
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_operators_own_models_know_every_key(sdk, job):
    assert lost_keys(job, read(sdk, job)) == []


@pytest.mark.parametrize(
    "place",
    [
        ("spec",),
        ("spec", "runPolicy"),
        ("spec", "tfReplicaSpecs", "Chief"),
        ("spec", "tfReplicaSpecs", "Worker", "template", "spec"),
    ],
)
def test_a_key_that_they_do_not_know_would_be_found(sdk, job, place):
    part = job
    for key in place:
        part = part[key]
    part["unknownKey"] = "x"
    assert lost_keys(job, read(sdk, job)) == [".".join((*place, "unknownKey"))]


@pytest.mark.parametrize("kind", ["Chief", "Worker"])
def test_pods_are_valid(job, kind):
    template = job["spec"]["tfReplicaSpecs"][kind]["template"]
    metadata = {**template["metadata"], "name": "pod"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    assert problem_of(pod) is None
    pod["spec"]["containers"][0]["volumeMount"] = []
    assert "volumeMount" in problem_of(pod)


def problem_of(pod):
    """What Kubernetes would find wrong with a pod, or None."""
    try:
        kubernetes_validate.validate(pod, "1.33", strict=True)
    except kubernetes_validate.ValidationError as error:
        return error.message
    return None


def test_each_pod_is_placed_as_the_trainer_is(job):
    replicas = job["spec"]["tfReplicaSpecs"]
    assert [replicas[kind]["replicas"] for kind in ("Chief", "Worker")] == [1, 2]
    assert {replicas[kind]["restartPolicy"] for kind in replicas} == {"Never"}
    spec = replicas["Worker"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["command"] == ["python", "other"]
    assert container["image"] == "registry/effnet:1-gpu"
    assert container["resources"] == {
        "requests": {"cpu": "4", "memory": "8Gi"},
        "limits": {"memory": "16Gi", "nvidia.com/gpu": "2"},
    }
    assert spec["nodeSelector"] == {
        "pool": "training",
        "cloud.google.com/gke-accelerator": "nvidia-l4",
    }
    assert spec["tolerations"][1] == {"key": "team", "operator": "Equal", "value": "vision"}
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    secret = {"secretKeyRef": {"name": "s3", "key": "id"}}
    assert {"name": "AWS_ACCESS_KEY_ID", "valueFrom": secret} in container["env"]
    assert spec["automountServiceAccountToken"] is False
    # One claim is one volume, however often it is mounted.
    assert container["volumeMounts"] == [
        {"name": "volume-0", "mountPath": "/effnet"},
        {"name": "volume-0", "mountPath": "/weights", "subPath": "weights"},
        {"name": "volume-1", "mountPath": "/secrets/hub", "readOnly": True},
        {"name": "volume-2", "mountPath": "/dev/shm"},
    ]
    assert spec["volumes"][2] == {"name": "volume-2", "emptyDir": {"medium": "Memory"}}


def test_the_job_ends_with_its_task_and_in_time(job):
    assert job["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "effnet-xyz-1", "uid": "0f1e2d3c"}
    ]
    assert job["spec"]["runPolicy"] == {"cleanPodPolicy": "None", "activeDeadlineSeconds": 7200}


def test_what_is_not_asked_for_is_left_to_the_cluster():
    placement = {"volumes": CONFIG["placement"]["volumes"][:1]}
    config = KubeflowConfig.parse({**CONFIG, "placement": placement, "nodes": {}})
    job = manifest("a", config.of_workers(), ["a"], ["b"], None)
    assert "ownerReferences" not in job["metadata"]
    (container,) = job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]["containers"]
    assert not {"resources", "env"} & container.keys()
    assert "activeDeadlineSeconds" not in job["spec"]["runPolicy"]


def condition(kind, status="True"):
    return {"type": kind, "status": status, "message": f"it {kind.lower()}"}


@pytest.mark.parametrize(
    ("conditions", "end"),
    [
        (None, None),
        ([condition("Created"), condition("Running")], None),
        ([condition("Failed", "False")], None),
        ([condition("Running", "False"), condition("Failed")], ("Failed", "it failed")),
        # What the others do once the chief has left its model does not matter.
        ([condition("Succeeded"), condition("Failed")], ("Succeeded", "it succeeded")),
    ],
)
def test_how_a_job_ends(conditions, end):
    assert end_of({"status": {"conditions": conditions}}) == end
    assert end_of({}) is None


def test_how_many_pods_run():
    assert running({}) == 0
    statuses = {"Chief": {"active": 1}, "Worker": {"active": 1, "failed": 1}}
    assert running({"status": {"replicaStatuses": statuses}}) == 2
    assert pod_names("job", 3) == ["job-chief-0", "job-worker-0", "job-worker-1"]
