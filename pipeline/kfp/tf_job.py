"""The TFJob that trains: its manifest by the Trainer's placement, and what its status says.

Of Kubeflow's Training Operator 1.x, which calls the pods NAME-chief-0, NAME-worker-0 and so on, and
tells each its place among them by TF_CONFIG. The job is over when the chief is, or when any pod has
failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.errors import TrainingJobError
from components.kubernetes_api import Kind
from pipeline.kubeflow_config import KubeflowConfig, PlacementConfig

KIND = Kind(
    group="kubeflow.org",
    version="v1",
    resource="tfjobs",
    verbs=("get", "create", "delete"),
    setting="kubeflow.workers",
    access="name a kubeconfig in KUBECONFIG",
    missing="install Kubeflow's Training Operator 1.x, which knows TFJob (Trainer 2 does not)",
    role="kubeflow/base",
    failure=TrainingJobError,
)
CONTAINER = "tensorflow"  # which the operator looks for, as it does for the port's name
_PORT = {"name": "tfjob-port", "containerPort": 2222}

Json = dict[str, Any]


@dataclass(frozen=True)
class Owner:
    """The pod of the task: what it owns goes with it."""

    name: str
    uid: str


def manifest(
    name: str,
    config: KubeflowConfig,
    chief: Sequence[str],
    worker: Sequence[str],
    owner: Owner | None,
) -> Json:
    """Returns the TFJob as the API takes it.

    Args:
        name: of the job.
        config: with the workers, and their placement (`KubeflowConfig.of_workers`).
        chief: the command of the pod that writes what all have trained.
        worker: the command of each other pod.
        owner: whose end is the job's end.
    """
    assert config.workers is not None
    metadata: Json = {"name": name, "labels": {"app.kubernetes.io/name": "effnet-trainer"}}
    if owner:
        pod = {"apiVersion": "v1", "kind": "Pod", "name": owner.name, "uid": owner.uid}
        metadata["ownerReferences"] = [pod]
    policy: Json = {"cleanPodPolicy": "None"}  # whose logs are read yet
    if config.placement.timeout_seconds is not None:
        policy["activeDeadlineSeconds"] = config.placement.timeout_seconds
    replicas = {"Chief": (1, chief), "Worker": (config.workers.count - 1, worker)}
    specs = {
        kind: {
            "replicas": number,
            # Not alone: the others have lost it, and would wait for ever.
            "restartPolicy": "Never",
            "template": _pod(config, command),
        }
        for kind, (number, command) in replicas.items()
    }
    return {
        "apiVersion": f"{KIND.group}/{KIND.version}",
        "kind": "TFJob",
        "metadata": metadata,
        "spec": {"runPolicy": policy, "tfReplicaSpecs": specs},
    }


def _pod(config: KubeflowConfig, command: Sequence[str]) -> Json:
    placement = config.placement
    mounts, volumes = _volumes(placement)
    container: Json = {
        "name": CONTAINER,
        "image": placement.image or config.image,
        "imagePullPolicy": config.image_pull_policy,
        "command": list(command),
        "env": _environment(placement),
        "ports": [_PORT],
        "resources": _resources(placement),
        "volumeMounts": mounts,
    }
    spec: Json = {
        "automountServiceAccountToken": False,
        "containers": [_filled(container)],
        "imagePullSecrets": [{"name": secret} for secret in config.image_pull_secrets],
        "nodeSelector": placement.node_labels,
        "tolerations": [_filled(each.model_dump()) for each in placement.tolerations],
        "volumes": volumes,
    }
    # A proxy beside the container would stand between the workers, and never end.
    metadata = {"annotations": {"sidecar.istio.io/inject": "false"}}
    return {"metadata": metadata, "spec": _filled(spec)}


def _environment(placement: PlacementConfig) -> list[Json]:
    plain = [{"name": name, "value": value} for name, value in placement.environment.items()]
    secret = [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": given.secret, "key": key}}}
        for given in placement.secret_env
        for key, variable in given.keys.items()
    ]
    return [*plain, *secret]


def _resources(placement: PlacementConfig) -> Json:
    requests = {"cpu": placement.cpu_request, "memory": placement.memory_request}
    limits = {"cpu": placement.cpu_limit, "memory": placement.memory_limit}
    if placement.gpu:
        limits[placement.gpu.resource] = str(placement.gpu.count)
    return _filled({"requests": _filled(requests), "limits": _filled(limits)})


def _volumes(placement: PlacementConfig) -> tuple[list[Json], list[Json]]:
    """Returns the container's mounts, and the volumes of the pod: each once."""
    mounts: list[Json] = []
    volumes: dict[str, Json] = {}

    def mount(source: Json, **place: Any) -> None:
        name = next((name for name, known in volumes.items() if known == source), None)
        name = name or f"volume-{len(volumes)}"
        volumes[name] = source
        mounts.append(_filled({"name": name, **place}))

    for claim in placement.volumes:
        source = {"persistentVolumeClaim": {"claimName": claim.claim}}
        mount(source, mountPath=claim.path, subPath=claim.sub_path)
    for secret in placement.secret_volumes:
        mount({"secret": {"secretName": secret.secret}}, mountPath=secret.path, readOnly=True)
    if placement.shares_memory:
        mount({"emptyDir": {"medium": "Memory"}}, mountPath="/dev/shm")
    return mounts, [{"name": name, **source} for name, source in volumes.items()]


def _filled(values: Mapping[str, Any]) -> Json:
    """Leaves out what says nothing, so that the cluster's defaults stand."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}


def pod_names(name: str, count: int) -> list[str]:
    """Returns what the operator calls the pods of a job."""
    return [f"{name}-chief-0", *(f"{name}-worker-{number}" for number in range(count - 1))]


def end_of(job: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns Succeeded or Failed and the operator's words, or None while the job goes on.

    A job whose chief has ended well has succeeded, whatever becomes of the others.
    """
    conditions = job.get("status", {}).get("conditions") or []
    true = {
        each["type"]: each.get("message", "") for each in conditions if each["status"] == "True"
    }
    return next(((kind, true[kind]) for kind in ("Succeeded", "Failed") if kind in true), None)


def running(job: Mapping[str, Any]) -> int:
    """Returns how many pods run."""
    statuses = (job.get("status", {}).get("replicaStatuses") or {}).values()
    return sum(each.get("active") or 0 for each in statuses)
