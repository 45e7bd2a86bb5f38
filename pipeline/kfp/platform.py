"""Where each task runs, as KFP's backend and Vertex AI read it."""

from typing import Any

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
from kfp.pipeline_spec import pipeline_spec_pb2 as spec

from components.errors import ConfigError
from pipeline.kubeflow_config import KubeflowConfig, PlacementConfig

_TPU_RESOURCE = "google.com/tpu"
_RETRY_SECONDS = 60
# Of all attempts of a task together. Argo counts from the first one's start: when that time is up,
# it ends the one that is at work, and begins no other. Vertex AI takes an hour at most.
_ATTEMPTS_SECONDS = {"kfp": 365 * 24 * 3600, "vertex": 3600}
# Vertex AI has machines of its own choosing; these can't be told to it.
_NOT_ON_VERTEX = (
    "cpu_request",
    "memory_request",
    "tpu",
    "node_selector",
    "tolerations",
    "volumes",
    "secret_env",
    "secret_volumes",
    "timeout_seconds",
)


def resources(placement: PlacementConfig) -> dict[str, Any]:
    """Returns the `resources` of a KFP task's container; empty where nothing is asked for."""
    found: dict[str, Any] = {
        "resourceCpuRequest": placement.cpu_request,
        "resourceCpuLimit": placement.cpu_limit,
        "resourceMemoryRequest": placement.memory_request,
        "resourceMemoryLimit": placement.memory_limit,
    }
    if placement.gpu:
        found["accelerator"] = _accelerator(placement.gpu.resource, placement.gpu.count)
    if placement.tpu:
        found["accelerator"] = _accelerator(_TPU_RESOURCE, placement.tpu.chips)
    return {key: value for key, value in found.items() if value is not None}


def _accelerator(resource: str, count: int) -> dict[str, str]:
    return {"resourceType": resource, "resourceCount": str(count)}


def retry_policy(placement: PlacementConfig, target: str) -> dict[str, Any]:
    """Returns the `retryPolicy` of a task, for kfp or vertex; empty where it has none."""
    if not placement.retries:
        return {}
    wait = _RETRY_SECONDS if placement.retry_seconds is None else placement.retry_seconds
    return {
        "maxRetryCount": placement.retries,
        "backoffDuration": f"{wait}s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": f"{_ATTEMPTS_SECONDS[target]}s",
    }


def platform_spec(config: KubeflowConfig, executors: dict[str, str]) -> dict[str, Any]:
    """Returns the second document of a package for KFP.

    Args:
        config: with the placements.
        executors: node by executor label.
    """
    told = {
        label: json_format.MessageToDict(_executor_config(config, config.task_placement(node)))
        for label, node in executors.items()
    }
    found = {"deploymentSpec": {"executors": told}}
    if config.timeout_seconds is not None:
        whole = spec.PipelineConfig(active_deadline_seconds=config.timeout_seconds)
        found["pipelineConfig"] = json_format.MessageToDict(whole)
    return {"platforms": {"kubernetes": found}}


def _executor_config(
    config: KubeflowConfig, placement: PlacementConfig
) -> kubernetes.KubernetesExecutorConfig:
    found = kubernetes.KubernetesExecutorConfig(
        image_pull_policy=config.image_pull_policy,
        active_deadline_seconds=placement.timeout_seconds or 0,
    )
    for name in config.image_pull_secrets:
        found.image_pull_secret.add(secret_name=name).secret_name_parameter.CopyFrom(_text(name))
    if placement.node_labels:
        found.node_selector.labels.update(placement.node_labels)
    for toleration in placement.tolerations:
        found.tolerations.add(**toleration.model_dump())
    for volume in placement.volumes:
        mount = found.pvc_mount.add(mount_path=volume.path, sub_path=volume.sub_path)
        mount.pvc_name_parameter.CopyFrom(_text(volume.claim))
    if placement.shares_memory:
        found.empty_dir_mounts.add(volume_name="memory", mount_path="/dev/shm", medium="Memory")
    _add_secrets(found, placement)
    return found


def _add_secrets(found: kubernetes.KubernetesExecutorConfig, placement: PlacementConfig) -> None:
    for given in placement.secret_env:
        entry = found.secret_as_env.add(secret_name=given.secret)
        entry.secret_name_parameter.CopyFrom(_text(given.secret))
        for key, variable in given.keys.items():
            entry.key_to_env.add(secret_key=key, env_var=variable)
    for mounted in placement.secret_volumes:
        volume = found.secret_as_volume.add(secret_name=mounted.secret, mount_path=mounted.path)
        volume.secret_name_parameter.CopyFrom(_text(mounted.secret))


def _text(value: str) -> spec.TaskInputsSpec.InputParameterSpec:
    parameter = spec.TaskInputsSpec.InputParameterSpec()
    parameter.runtime_value.constant.string_value = value
    return parameter


def vertex_resources(node: str, placement: PlacementConfig) -> dict[str, Any]:
    """Returns the `resources` of a task on Vertex AI: numbers, of processors and of gigabytes.

    Raises:
        ConfigError: if the placement asks for what only a Kubernetes cluster has.
    """
    asked = [name for name in _NOT_ON_VERTEX if getattr(placement, name)]
    if asked:
        raise ConfigError(
            f"{node}: {', '.join(asked)} can't be had on Vertex AI, which places tasks itself by "
            "cpu_limit, memory_limit and gpu; leave them out, or compile with --target kfp"
        )
    found: dict[str, Any] = {}
    if placement.cpu_limit:
        found["cpuLimit"] = _number(placement.cpu_limit)
    if placement.memory_limit:
        found["memoryLimit"] = _number(placement.memory_limit) / 1e9
    if placement.gpu:
        if placement.gpu.type is None:
            raise ConfigError(f"{node}: gpu.type is needed on Vertex AI, e.g. nvidia-tesla-t4")
        kind = placement.gpu.type.upper().replace("-", "_")
        found["accelerator"] = {"type": kind, "count": str(placement.gpu.count)}
    return found


_UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


def _number(quantity: str) -> float:
    digits = quantity.rstrip("mkKMGTi")
    unit = quantity[len(digits) :]
    return float(digits) * {**_UNITS, **_BINARY, "": 1.0}[unit]
