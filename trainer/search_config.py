"""Settings of the search through the family."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from components.settings import Settings, nearest
from trainer.backbones.catalogue import BACKBONES


class SearchConfig(Settings):
    """Which members are tried, from small to large, and what ends the search."""

    enabled: bool = Field(
        False,
        description="try several members; what is best on val is trained, whatever "
        "trainer.backbone says",
    )
    backbones: tuple[str, ...] = Field(
        ("efficientnet-lite0", "efficientnet-b0", "efficientnet-b1", "efficientnet-b2"),
        min_length=1,
        description="tried in the order of their parameters, each at its own resolution; images "
        "are transformed once, to the largest of these, unless transform.image_size is set",
    )
    weights: tuple[Literal["imagenet", "noisy-student", "none"], ...] = Field(
        ("imagenet",), min_length=1, description="all of them are tried, where a member has them"
    )
    min_gain: float = Field(
        0.003,
        ge=0,
        le=1,
        description="val accuracy that a member must add to the best before; less ends the search",
    )
    max_gap: float = Field(
        0.2,
        gt=0,
        le=1,
        description="train accuracy less val accuracy of a member; more is over-fitting, and ends "
        "the search",
    )
    minutes: float = Field(120.0, gt=0, description="after which no further member is begun")
    max_parameters: float | None = Field(
        None, gt=0, description="millions (published, with the head of 1,000 classes)"
    )
    max_latency_ms: float | None = Field(
        None, gt=0, description="of the network for one image on the machine that searches"
    )

    @field_validator("backbones", mode="after")
    @classmethod
    def _known_backbones(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            nearest(name, BACKBONES, "backbone")
        return tuple(sorted(set(value), key=lambda name: BACKBONES[name].parameters))

    @field_validator("weights")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _tries_something(self) -> Self:
        if not self.steps():
            raise ValueError(f"none of {', '.join(self.backbones)} has noisy-student weights")
        smallest = BACKBONES[self.backbones[0]].parameters
        if self.max_parameters is not None and smallest > self.max_parameters:
            raise ValueError(
                f"max_parameters {self.max_parameters:g} is less than the {smallest:g} of the "
                f"smallest member, {self.backbones[0]}"
            )
        return self

    @property
    def image_size(self) -> int:
        """The largest resolution searched, in pixels."""
        return max(BACKBONES[name].image_size for name in self.backbones)

    def steps(self) -> list[tuple[str, str]]:
        """Returns backbone and weights of every trial, in order, if nothing ends the search."""
        return [
            (name, weights)
            for name in self.backbones
            for weights in self.weights
            if weights != "noisy-student" or BACKBONES[name].noisy_student_top1
        ]
