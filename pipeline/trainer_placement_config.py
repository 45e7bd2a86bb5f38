"""What only a training can be placed on: several pods, or a TPU slice."""

import math
from typing import Self

from pydantic import Field, model_validator

from components.settings import Settings

# By the number of a topology's sides: v5e and v6e have flat ones, v4, v5p and TPU7x have cubes.
_HOST_CHIPS = {2: 8, 3: 4}


class TpuConfig(Settings):
    """The TPU slice of one pod, on GKE: all of it on one host."""

    accelerator: str = Field(description="e.g. tpu-v5-lite-podslice")
    topology: str = Field(pattern=r"^[1-9]\d{0,2}(x[1-9]\d{0,2}){1,2}$", description="e.g. 2x4")
    chips: int = Field(ge=1, description="of one host: the limit google.com/tpu")

    @model_validator(mode="after")
    def _is_one_host(self) -> Self:
        sides = [int(side) for side in self.topology.split("x")]
        chips, most = math.prod(sides), _HOST_CHIPS[len(sides)]
        if chips > most:
            raise ValueError(
                f"topology {self.topology} has {chips} chips, which are several hosts: one pod "
                f"trains, so a slice may have up to {most} chips (such as "
                f"{'2x4' if len(sides) == 2 else '2x2x1'})"
            )
        if self.chips != chips:
            raise ValueError(
                f"topology {self.topology} has {chips} chips, and chips is {self.chips}: one pod "
                "must have the whole slice, so name as many (and have machines with all of them "
                "on one host)"
            )
        return self

    @property
    def labels(self) -> dict[str, str]:
        """GKE's labels of the machine."""
        return {
            "cloud.google.com/gke-tpu-accelerator": self.accelerator,
            "cloud.google.com/gke-tpu-topology": self.topology,
        }


class WorkersConfig(Settings):
    """Pods that train as one: a TFJob of Kubeflow's Training Operator 1.x.

    Each is placed as the Trainer is; the Trainer's own pod, which awaits them, as all tasks are.
    """

    count: int = Field(ge=2, le=256, description="pods that train")
    shared: str = Field(
        pattern=r"^/.*[^/]$",
        description="a folder on a ReadWriteMany volume of the Trainer, where all workers see the "
        "images, the checkpoints and what becomes of them",
    )
    start_seconds: int = Field(
        1800, ge=1, description="how long it may take until all run, waiting for machines included"
    )
