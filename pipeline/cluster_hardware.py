"""Whether the work fits where it is placed on a cluster."""

from pathlib import PurePosixPath

from components.errors import ConfigError
from pipeline.beam_config import DATA_NODES
from pipeline.config import PipelineConfig
from pipeline.kubeflow_config import TRAINER


def check_hardware(config: PipelineConfig, target: str) -> None:
    """Refuses trainings that would fail on their machines, or leave them idle.

    Raises:
        ConfigError: naming the settings that don't fit one another.
    """
    hardware, search = config.trainer.hardware, config.trainer.search.enabled
    for node in ("Tuner", TRAINER) if search else (TRAINER,):
        if config.kubeflow.placement_of(node).tpu and hardware.backend != "jax":
            raise ConfigError(
                f"the {node} is placed on a TPU, which no TensorFlow of the version that TFX needs "
                "is built for: set trainer.hardware.backend to jax, and its image to one with JAX"
            )
    if config.kubeflow.workers is None:
        if hardware.strategy == "workers":
            raise ConfigError(
                "trainer.hardware.strategy is 'workers', but one pod trains: set kubeflow.workers, "
                "or take auto, mirrored or one_device"
            )
        return
    if target == "vertex":
        raise ConfigError("kubeflow.workers needs Kubeflow's Training Operator: leave it out")
    if hardware.backend == "jax" or hardware.strategy in ("one_device", "mirrored"):
        name = "backend" if hardware.backend == "jax" else "strategy"
        raise ConfigError(
            f"trainer.hardware.{name} is {getattr(hardware, name)}, by which one machine trains, "
            "and kubeflow.workers asks for several: leave out one of them"
        )
    if hardware.strategy == "workers" and search:
        raise ConfigError(
            "trainer.hardware.strategy is 'workers', but the Tuner searches in one pod: take auto, "
            "which is several workers for the Trainer and one for the Tuner"
        )
    if hardware.precision == "mixed_float16":
        raise ConfigError(
            "trainer.hardware.precision is mixed_float16, which is for one device, and "
            "kubeflow.workers asks for several: take mixed_bfloat16 or float32"
        )


def check_beam(config: PipelineConfig) -> None:
    """Refuses data nodes that couldn't hand their artifacts to the machines that compute.

    Raises:
        ConfigError: naming the settings that don't fit one another.
    """
    root, server = config.kubeflow.pipeline_root, config.beam.job_server
    if config.beam.dataflow and not root.startswith("gs://"):
        raise ConfigError(
            f"beam.runner is dataflow, whose machines read gs:// only, and kubeflow.pipeline_root "
            f"is '{root}': keep artifacts in gs://BUCKET/PATH, or take another runner"
        )
    if server is None:
        return
    for node in DATA_NODES:
        volumes = config.kubeflow.placement_of(node).volumes
        if not any(PurePosixPath(server.shared).is_relative_to(volume.path) for volume in volumes):
            paths = ", ".join(volume.path for volume in volumes) or "none"
            raise ConfigError(
                f"beam.job_server.shared is '{server.shared}', which lies on no volume of "
                f"{node} (they are at: {paths}): name a folder on a ReadWriteMany volume in "
                "kubeflow.placement.volumes that the worker pools mount, too"
            )
