"""Builds a member of the family by its name, with weights, ready to be cut at block boundaries."""

import re

import keras

from components.errors import ConfigError
from trainer.backbones import weights as sources
from trainer.backbones.catalogue import BACKBONES, SMALLEST_IMAGE, BackboneInfo, Normalisation
from trainer.backbones.graph_edits import compact
from trainer.backbones.lite import build_lite

_BLOCK_LAYER = re.compile(r"(block\d+[a-z]+)_")


def build_backbone(name: str, weights: str, image_size: int) -> keras.Model:
    """Builds a member of the family without its classifier.

    Its BatchNorm layers are merged into the convolutions, as fine-tuning keeps them frozen.

    Args:
        name: a key of `catalogue.BACKBONES`.
        weights: "imagenet", "noisy-student", "none" (random, from Keras's global seed), or the
            path of a file.
        image_size: height and width in pixels.

    Returns:
        A functional model: float32 [batch, size, size, 3], pixels in [0, 255], RGB, to the last
        feature map, float32 [batch, ceil(size / 32), ceil(size / 32), channels]. Pixels are
        normalised inside, as the weights were trained, whatever file they come from.

    Raises:
        ConfigError: the image size is too small, or the package with the weights is missing.
        InputError: the weights can't be had or read, or are those of another member.
    """
    info = BACKBONES[name]
    if image_size < SMALLEST_IMAGE:
        raise ConfigError(
            f"image size {image_size} is too small: {name} takes {SMALLEST_IMAGE} or more"
        )
    model = build_lite(info, image_size) if info.source == "package" else _build(info, image_size)
    sources.load(model, info, weights)
    return _compact(model, info.normalisation)


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


def _build(info: BackboneInfo, image_size: int) -> keras.Model:
    return sources.application(info)(
        include_top=False,
        weights=None,
        input_shape=(image_size, image_size, 3),
    )


def _compact(model: keras.Model, normalisation: Normalisation) -> keras.Model:
    """Puts one Rescaling in place of a model's own preprocessing, and merges what can be.

    keras.applications adds the division by the deviations only when it downloads the weights
    itself: the same file loaded by its path would see other pixels.
    """
    preprocessing = [
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
    ]
    rescaling = keras.layers.Rescaling(
        normalisation.scale, normalisation.offset, name="normalisation"
    )
    return compact(model, {preprocessing[0]: rescaling}, drop=preprocessing[1:])
