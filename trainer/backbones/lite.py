"""EfficientNet-Lite in plain Keras layers, as keras.applications has the other members.

Lite is EfficientNet without squeeze-and-excite and with ReLU6 for swish; the stem, the top and
the first and last stage's repeats are not scaled. The architecture follows tensorflow/tpu,
`models/official/efficientnet/lite/efficientnet_lite_builder.py`; the layers' names follow
keras.applications, so that block boundaries are found in the same way in both families.
"""

import math
from dataclasses import dataclass

import keras

from trainer.backbones.catalogue import BackboneInfo

_STEM_CHANNELS = 32
_TOP_CHANNELS = 1280
_SCALING = {  # name: (width, depth)
    "efficientnet-lite0": (1.0, 1.0),
    "efficientnet-lite1": (1.0, 1.1),
    "efficientnet-lite2": (1.1, 1.2),
}


@dataclass(frozen=True)
class _Stage:
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def build_lite(info: BackboneInfo, image_size: int) -> keras.Model:
    """Builds a Lite member without its classifier, with random weights.

    Args:
        info: the member.
        image_size: height and width in pixels.

    Returns:
        A functional model: float32 [batch, size, size, 3], pixels in [0, 255], to float32
        [batch, ceil(size / 32), ceil(size / 32), 1280].
    """
    width, depth = _SCALING[info.name]
    inputs = keras.Input((image_size, image_size, 3), name="pixels")
    x = keras.layers.Rescaling(info.normalisation.scale, info.normalisation.offset)(inputs)
    x = _conv(x, "stem", _STEM_CHANNELS, 3, stride=2)
    channels = _STEM_CHANNELS
    for number, stage in enumerate(_STAGES):
        scaled = number not in (0, len(_STAGES) - 1)
        repeats = math.ceil(stage.repeats * depth) if scaled else stage.repeats
        for repeat in range(repeats):
            name = f"block{number + 1}{chr(ord('a') + repeat)}"
            x = _block(x, name, stage, channels, first=repeat == 0, width=width)
            channels = _scaled_channels(stage.channels, width)
    x = _conv(x, "top", _TOP_CHANNELS, 1)
    return keras.Model(inputs, x, name=info.name)


def _conv(
    x: keras.KerasTensor,
    name: str,
    filters: int,
    kernel: int,
    stride: int = 1,
    activate: bool = True,
) -> keras.KerasTensor:
    """Convolution, BatchNorm and (unless linear) ReLU6.

    TensorFlow's "same" padding is asymmetric at stride 2; the weights were trained with it.
    """
    x = keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        padding="same",
        use_bias=False,
        name=f"{name}_conv",
        kernel_initializer=_initializer(),
    )(x)
    return _normalise(x, name, activate)


def _normalise(x: keras.KerasTensor, name: str, activate: bool) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_activation")(x) if activate else x


def _block(
    inputs: keras.KerasTensor, name: str, stage: _Stage, channels: int, first: bool, width: float
) -> keras.KerasTensor:
    """Inverted residual: expand, depthwise, project, and the sum where the shapes agree."""
    stride = stage.stride if first else 1
    x = inputs
    if stage.expansion != 1:
        x = _conv(x, f"{name}_expand", channels * stage.expansion, 1)
    x = keras.layers.DepthwiseConv2D(
        stage.kernel,
        stride,
        padding="same",
        use_bias=False,
        name=f"{name}_dwconv",
        depthwise_initializer=_initializer(),
    )(x)
    x = _normalise(x, f"{name}_dw", activate=True)
    filters = _scaled_channels(stage.channels, width)
    x = _conv(x, f"{name}_project", filters, 1, activate=False)
    if stride == 1 and channels == filters:
        x = keras.layers.Add(name=f"{name}_add")([x, inputs])
    return x


def _initializer() -> keras.initializers.Initializer:
    """The published one; by fan-out, as a depthwise kernel's fan-in counts all channels."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_out")


def _scaled_channels(channels: int, width: float, divisor: int = 8) -> int:
    """Rounds to a multiple of 8, never down by more than a tenth."""
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded
