"""Whether the training fits where it is placed on a cluster."""

from components.errors import ConfigError
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
