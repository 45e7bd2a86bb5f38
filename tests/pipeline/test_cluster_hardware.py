from typing import Any

import pytest

from components.errors import ConfigError
from pipeline.cluster_hardware import check_hardware
from pipeline.config import PipelineConfig
from pipeline.kubeflow_config import KubeflowConfig

TPU = {"accelerator": "tpu-v5-lite-podslice", "topology": "2x4", "chips": 8}
VOLUME = {"claim": "effnet", "path": "/effnet"}
WORKERS = {"count": 2, "shared": "/effnet/shared"}


def config(hardware: dict[str, Any], kubeflow: dict[str, Any], search: bool = False):
    trainer = {"hardware": hardware, "search": {"enabled": search}}
    return PipelineConfig.parse({"trainer": trainer, "kubeflow": kubeflow})


def several(**more: Any) -> dict[str, Any]:
    return {"placement": {"volumes": [VOLUME], **more}, "workers": WORKERS}


@pytest.mark.parametrize(
    ("hardware", "kubeflow", "search", "said"),
    [
        ({}, {"nodes": {"Trainer": {"tpu": TPU}}}, False, "backend to jax"),
        ({}, {"nodes": {"Tuner": {"tpu": TPU}}}, True, "the Tuner is placed on a TPU"),
        ({"strategy": "workers"}, {}, False, "set kubeflow.workers"),
        ({"backend": "jax"}, several(), False, "backend is jax"),
        ({"strategy": "mirrored"}, several(), False, "strategy is mirrored"),
        ({"strategy": "workers"}, several(), True, "the Tuner searches in one pod"),
        ({"precision": "mixed_float16"}, several(), False, "mixed_bfloat16"),
    ],
)
def test_trainings_that_can_not_use_their_machines_are_refused(hardware, kubeflow, search, said):
    with pytest.raises(ConfigError, match=said):
        check_hardware(config(hardware, kubeflow, search), "kfp")


def test_workers_are_no_matter_of_vertex():
    with pytest.raises(ConfigError, match="Training Operator"):
        check_hardware(config({}, several()), "vertex")


@pytest.mark.parametrize(
    ("hardware", "kubeflow"),
    [
        ({}, {}),
        ({}, several()),
        ({"strategy": "workers"}, several()),
        ({"backend": "jax"}, {"nodes": {"Trainer": {"tpu": TPU}}}),
        ({"strategy": "mirrored"}, {"nodes": {"Trainer": {"gpu": {"count": 4}}}}),
    ],
)
def test_others_are_not(hardware, kubeflow):
    check_hardware(config(hardware, kubeflow), "kfp")


@pytest.mark.parametrize(
    ("topology", "chips", "said"),
    [
        ("4x4", 8, "16 chips, which are several hosts.*up to 8 chips"),
        ("4x4", 16, "several hosts"),
        ("2x2x2", 4, "up to 4 chips"),
        ("2x4", 4, "has 8 chips, and chips is 4"),
        ("2x2", 8, "has 4 chips, and chips is 8"),
    ],
)
def test_slices_of_several_hosts_are_refused(topology, chips, said):
    tpu = {"accelerator": "tpu-v5-lite-podslice", "topology": topology, "chips": chips}
    with pytest.raises(ConfigError, match=said):
        KubeflowConfig.parse({"nodes": {"Trainer": {"tpu": tpu}}})


@pytest.mark.parametrize(("topology", "chips"), [("1x1", 1), ("2x2", 4), ("2x4", 8), ("2x2x1", 4)])
def test_slices_of_one_host_are_not(topology, chips):
    tpu = {"accelerator": "tpu-v5-lite-podslice", "topology": topology, "chips": chips}
    placement = KubeflowConfig.parse({"nodes": {"Trainer": {"tpu": tpu}}}).placement_of("Trainer")
    assert placement.node_labels == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": topology,
    }
    # Without it, JAX would train on the machine's processors, and say nothing.
    assert placement.environment == {"JAX_PLATFORMS": "tpu,cpu"}


@pytest.mark.parametrize(
    ("kubeflow", "said"),
    [
        ({"nodes": {"Evaluator": {"tpu": TPU}}}, "Evaluator computes on no TPU"),
        ({"workers": WORKERS}, "lies on no volume of the Trainer"),
        (several() | {"workers": {**WORKERS, "shared": "/effnetx"}}, "they are at: /effnet"),
        (several() | {"workers": {**WORKERS, "shared": "/effnet/../tmp"}}, "lies on no volume"),
        (several() | {"nodes": {"Trainer": {"tpu": TPU}}}, "has no TPU"),
        (several() | {"workers": {**WORKERS, "count": 1}}, "greater than or equal to 2"),
    ],
)
def test_workers_need_a_volume_and_no_tpu(kubeflow, said):
    with pytest.raises(ConfigError, match=said):
        KubeflowConfig.parse(kubeflow)


def test_the_pod_that_awaits_workers_takes_none_of_their_machines():
    own = {
        "gpu": {"count": 2, "type": "nvidia-l4"},
        "memory_limit": "64Gi",
        "node_selector": {"pool": "gpus"},
        "secret_env": [{"secret": "s3", "keys": {"id": "AWS_ACCESS_KEY_ID"}}],
    }
    common = {"memory_limit": "4Gi", "volumes": [VOLUME], "gpu": {"count": 1}}
    kubeflow = KubeflowConfig.parse(
        {"placement": common, "nodes": {"Trainer": own}, "workers": WORKERS}
    )
    task, trainer = kubeflow.task_placement("Trainer"), kubeflow.placement_of("Trainer")
    assert (task.gpu, task.memory_limit, task.node_labels) == (None, "4Gi", {})
    assert (task.volumes, task.secret_env) == (trainer.volumes, trainer.secret_env)
    assert trainer.gpu.count == 2
    assert kubeflow.task_placement("Transform") == kubeflow.placement_of("Transform")
    alone = KubeflowConfig.parse({"nodes": {"Trainer": own}})
    assert alone.task_placement("Trainer").gpu.count == 2
