"""Builds a member of the family by its name, with weights, ready to be cut at block boundaries."""

import re

import keras

from components.errors import ConfigError, InputError
from trainer.backbones import lite
from trainer.backbones.catalogue import BACKBONES, SMALLEST_IMAGE, BackboneInfo
from trainer.backbones.graph_edits import copy_with, fold_batch_norm, pointwise_as_matmul

# keras.applications' ImageNet weights were trained on pixels with these means and deviations, by
# channel, of pixels in [0, 1].
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
_BLOCK_LAYER = re.compile(r"(block\d+[a-z]+)_")


def build_backbone(name: str, weights: str, image_size: int) -> keras.Model:
    """Builds a member of the family without its classifier.

    Its BatchNorm layers are merged into the convolutions, as fine-tuning keeps them frozen.

    Args:
        name: a key of `catalogue.BACKBONES`.
        weights: "imagenet" or "none" (random, from Keras's global seed).
        image_size: height and width in pixels.

    Returns:
        A functional model: float32 [batch, size, size, 3], pixels in [0, 255], RGB, to the last
        feature map, float32 [batch, ceil(size / 32), ceil(size / 32), channels]. Pixels are
        normalised inside.

    Raises:
        ConfigError: the image size is too small, or the package with the weights is missing.
        InputError: the weights can't be had or read.
    """
    info = BACKBONES[name]
    if image_size < SMALLEST_IMAGE:
        raise ConfigError(
            f"image size {image_size} is too small: {name} takes {SMALLEST_IMAGE} or more"
        )
    if info.source == "package":
        model = lite.build_lite(info, image_size)
        if weights == "imagenet":
            lite.load_package_weights(model, info)
    else:
        model = _build_keras(info, weights, image_size)
    return pointwise_as_matmul(fold_batch_norm(model))


def block_boundaries(backbone: keras.Model) -> list[str]:
    """Names the layers at whose outputs a backbone can be cut, from the bottom to the top.

    Returns:
        The stem's last layer, then the last layer of each block: entry -1 - n is where the top n
        blocks (and the convolution above them) begin.
    """
    last_layers: dict[str, str] = {}
    for layer in backbone.layers:
        match = _BLOCK_LAYER.match(layer.name)
        if match:
            last_layers[match[1]] = layer.name
    return ["stem_activation", *last_layers.values()]


def _build_keras(info: BackboneInfo, weights: str, image_size: int) -> keras.Model:
    member = info.name.removeprefix("efficientnet-").upper()
    constructor = getattr(keras.applications, f"EfficientNet{member}")
    try:
        model = constructor(
            include_top=False,
            weights=None if weights == "none" else weights,
            input_shape=(image_size, image_size, 3),
            name=info.name,
        )
    # keras.utils.get_file raises a bare Exception where a download fails.
    except Exception as error:
        if weights == "none":
            raise
        raise InputError(
            f"the ImageNet weights of {info.name} could not be downloaded ({error}). Put "
            f"efficientnet{member.lower()}_notop.h5 of keras.applications into "
            "~/.keras/models/, or choose efficientnet-lite0, whose weights are installed"
        ) from error
    return _with_explicit_normalisation(model)


def _with_explicit_normalisation(model: keras.Model) -> keras.Model:
    """Puts one Rescaling in place of keras.applications' own layers.

    It adds the division by the deviations only when it downloads the weights itself: the same
    file loaded by its path would see other pixels.
    """
    preprocessing = [
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
    ]
    normalisation = keras.layers.Rescaling(
        scale=[1.0 / (255.0 * deviation) for deviation in _IMAGENET_DEVIATION],
        offset=[
            -mean / deviation
            for mean, deviation in zip(_IMAGENET_MEAN, _IMAGENET_DEVIATION, strict=True)
        ],
        name="normalisation",
    )
    return copy_with(model, {preprocessing[0]: normalisation}, drop=preprocessing[1:])
