"""Which tensor of a torch checkpoint belongs to which layer here.

Two namings are known: that of the Lite packages (lukemelas/EfficientNet-PyTorch's) and timm's, of
its `tf_efficientnet_*` models.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np

from components.errors import InputError
from trainer.backbones.weight_files import layers_to_fill

State = Mapping[str, np.ndarray]
_BLOCK = re.compile(r"block(\d+)([a-z]+)_(.+)")
_CLASSIFIERS = ("_fc.", "classifier.")
_COUNTER = "num_batches_tracked"

_PACKAGE_ENDS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
}
_PACKAGE_PARTS = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "dw_bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
_TIMM_ENDS = {"stem_conv": "conv_stem", "stem_bn": "bn1", "top_conv": "conv_head", "top_bn": "bn2"}
# Inverted residuals, and the blocks without expansion of the first stage.
_TIMM_PARTS = {
    "expand_conv": "conv_pw",
    "expand_bn": "bn1",
    "dwconv": "conv_dw",
    "bn": "bn2",
    "se_reduce": "se.conv_reduce",
    "se_expand": "se.conv_expand",
    "project_conv": "conv_pwl",
    "project_bn": "bn3",
}
_TIMM_FIRST_PARTS = {
    "dwconv": "conv_dw",
    "bn": "bn1",
    "se_reduce": "se.conv_reduce",
    "se_expand": "se.conv_expand",
    "project_conv": "conv_pw",
    "project_bn": "bn2",
}


def fill_from_torch(model: keras.Model, state: State, path: Path) -> None:
    """Fills a member of the family from a checkpoint, every tensor of which must find its place.

    Args:
        model: Lite for the packages' naming, B0 to B7 for timm's.
        state: tensors by name.
        path: of the checkpoint, for errors.

    Raises:
        InputError: a tensor is missing, left over, or has another shape than its layer.
    """
    name_of = _package_names(model) if "_conv_stem.weight" in state else _timm_names(model)
    taken: set[str] = set()
    for layer in layers_to_fill(model):
        prefix = name_of.get(layer.name)
        if prefix is None:
            raise InputError(
                f"weights file {path} is of a naming that {model.name} does not take: the Lite "
                "members take their packages' files, B0 to B7 those of timm's tf_efficientnet_b*"
            )
        taken.update(_fill(layer, prefix, state, path))
    # The classifier of the ImageNet classes has no layer here.
    left = [name for name in state if name not in taken and not name.startswith(_CLASSIFIERS)]
    left = [name for name in left if not name.endswith(_COUNTER)]
    if left:
        raise InputError(
            f"weights file {path} holds more than {model.name}, such as {left[0]}: it belongs to "
            "another member of the family"
        )


def _package_names(model: keras.Model) -> dict[str, str]:
    blocks = dict.fromkeys(block + letter for block, letter, _ in _block_layers(model))
    number = {block: index for index, block in enumerate(blocks)}
    names = {
        f"block{block}{letter}_{part}": f"_blocks.{number[block + letter]}.{_PACKAGE_PARTS[part]}"
        for block, letter, part in _block_layers(model)
        if part in _PACKAGE_PARTS
    }
    return {**_PACKAGE_ENDS, **names}


def _timm_names(model: keras.Model) -> dict[str, str]:
    names = {}
    for block, letter, part in _block_layers(model):
        parts = _TIMM_FIRST_PARTS if block == "1" else _TIMM_PARTS
        if part in parts:
            prefix = f"blocks.{int(block) - 1}.{ord(letter) - ord('a')}"
            names[f"block{block}{letter}_{part}"] = f"{prefix}.{parts[part]}"
    return {**_TIMM_ENDS, **names}


def _block_layers(model: keras.Model) -> Iterator[tuple[str, str, str]]:
    """Yields number, letter and part of each layer of a block, in the network's order."""
    for layer in model.layers:
        if match := _BLOCK.fullmatch(layer.name):
            yield match[1], match[2], match[3]


def _fill(layer: keras.Layer, prefix: str, state: State, path: Path) -> list[str]:
    """Fills one layer; returns the names of the tensors that it took."""
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ["weight", "bias", "running_mean", "running_var"]
    else:
        parts = ["weight", "bias"] if layer.use_bias else ["weight"]
    keys = [f"{prefix}.{part}" for part in parts]
    missing = [key for key in keys if key not in state]
    if missing:
        raise InputError(f"weights file {path} lacks {missing[0]} for layer {layer.name}")
    values = [_keras_layout(layer, state[key]) for key in keys]
    expected = [tuple(weight.shape) for weight in layer.weights]
    received = [value.shape for value in values]
    if received != expected:
        raise InputError(
            f"weights file {path} has shapes {received} for layer {layer.name}, not {expected}: it "
            "belongs to another member of the family"
        )
    layer.set_weights(values)
    return keys


def _keras_layout(layer: keras.Layer, value: np.ndarray) -> np.ndarray:
    if value.ndim != 4:
        return value
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return value.transpose(2, 3, 0, 1)  # (channels, 1, h, w) to (h, w, channels, 1)
    return value.transpose(2, 3, 1, 0)  # (out, in, h, w) to (h, w, in, out)
