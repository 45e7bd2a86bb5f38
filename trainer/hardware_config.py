"""Settings of the devices that train."""

from typing import Literal, Self

from pydantic import Field, model_validator

from components.settings import Settings


class HardwareConfig(Settings):
    """How the training is computed; the defaults are right for one CPU."""

    strategy: Literal["auto", "one_device", "mirrored", "workers"] = Field(
        "auto",
        description="mirrored: all GPUs of this machine; workers: as TF_CONFIG says; auto: "
        "whichever of them there are. batch_size is that of all together, so that the number of "
        "devices does not change which learning rate fits; what dropout drops, each draws itself",
    )
    backend: Literal["tensorflow", "jax"] = Field(
        "tensorflow",
        description="what Keras trains by. jax, in a process of its own, on all devices of the "
        "machine: for TPUs (install effnet-tfx[tpu]); what is exported is the same",
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        "float32",
        description="of computation in training; weights are float32, and so is what is exported. "
        "mixed_float16 is for one device, mixed_bfloat16 for TPUs",
    )
    jit_compile: bool = Field(
        False,
        description="compile the training step by XLA: for GPUs; slower on a CPU; jax always does",
    )

    @model_validator(mode="after")
    def _fits_jax(self) -> Self:
        if self.backend == "jax" and self.strategy != "auto":
            raise ValueError(
                f"strategy '{self.strategy}' is TensorFlow's; with backend jax leave it out: all "
                "devices of the machine train"
            )
        if self.backend == "jax" and self.precision == "mixed_float16":
            raise ValueError("with backend jax take mixed_bfloat16, which needs no loss scale")
        return self
