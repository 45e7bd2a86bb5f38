"""Fills a model from the files that Keras saves weights in; nothing in them is ever run.

Keras 2 wrote .h5 files with the arrays under each layer's name, Keras 3 writes .weights.h5 files,
alone or inside a .keras archive, of which only the weights are read here.
"""

import re
import shutil
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np

from components.errors import InputError
from trainer.backbones.weight_files import MAX_FILE_BYTES, check_size, layers_to_fill

_BLOCK_LAYER = re.compile(r"block\d+[a-z]+_")
_WEIGHTS_IN_ARCHIVE = "model.weights.h5"


def fill_from_h5(model: keras.Model, path: Path) -> None:
    """Fills a model from an .h5 file of Keras 2, weights alone or a whole model, by layer name.

    Further layers in the file, such as a classifier, are passed over.

    Raises:
        InputError: the file can't be read, or lacks a layer, or has another shape for one.
    """
    check_size(path)
    try:
        with h5py.File(path, "r") as file:
            root = _member(file, "model_weights") or file
            _check_blocks(root, model, path)
            for layer in layers_to_fill(model):
                layer.set_weights(list(_arrays(root, layer, path)))
    # What h5py raises depends on what is damaged.
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"weights file {path} can't be read as Keras's .h5: {error}") from error


def fill_from_keras(model: keras.Model, path: Path) -> None:
    """Fills a model from a .weights.h5 file or a .keras archive of Keras 3, layer by layer.

    Raises:
        InputError: the file can't be read, or belongs to another model.
    """
    check_size(path)
    # Keras only warns of layers that a file lacks: those would keep what they had.
    for layer in layers_to_fill(model):
        layer.set_weights([np.full(weight.shape, np.nan) for weight in layer.weights])
    try:
        with warnings.catch_warnings(action="ignore"):
            if path.suffix == ".keras":
                with tempfile.TemporaryDirectory() as folder:
                    model.load_weights(_extracted(path, Path(folder)))
            else:
                model.load_weights(path)
        lacking = [layer.name for layer in layers_to_fill(model) if _has_nan(layer)]
        if lacking:
            raise ValueError(f"it has nothing for layer {lacking[0]}")
    # Keras raises ValueError for layers that differ, h5py and zipfile what they like.
    except (
        OSError,
        LookupError,
        ValueError,
        TypeError,
        RuntimeError,
        EOFError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(
            f"weights file {path} does not fit {model.name} (as keras.applications builds it, "
            f"without its classifier): {error}"
        ) from error


def _has_nan(layer: keras.Layer) -> bool:
    return any(np.isnan(weight).any() for weight in layer.get_weights())


def _check_blocks(root: h5py.Group, model: keras.Model, path: Path) -> None:
    """A deeper member of the same width would fill this one, and lose the blocks between."""
    built = {layer.name for layer in model.layers}
    left = [
        name for name in root if _BLOCK_LAYER.match(name) and len(root[name]) and name not in built
    ]
    if left:
        raise InputError(
            f"weights file {path} holds more than {model.name}, such as {left[0]}: it belongs to "
            "another member of the family"
        )


def _arrays(root: h5py.Group, layer: keras.Layer, path: Path) -> Iterator[np.ndarray]:
    group = _member(root, layer.name)
    if not isinstance(group, h5py.Group):
        raise InputError(
            f"weights file {path} has nothing for layer {layer.name}: it belongs to another "
            "member of the family, or to another network"
        )
    names = [_text(name) for name in group.attrs["weight_names"]]
    expected = [tuple(weight.shape) for weight in layer.weights]
    datasets = [_dataset(group, name, path) for name in names]
    received = [dataset.shape for dataset in datasets]
    if received != expected:
        raise InputError(
            f"weights file {path} has shapes {received} for layer {layer.name}, not {expected}: it "
            "belongs to another member of the family"
        )
    yield from (dataset[()] for dataset in datasets)


def _dataset(group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Follows a name down to an array that lies in this very file."""
    node = group
    for part in name.split("/"):
        node = _member(node, part)
        if node is None:
            raise InputError(f"weights file {path} lacks {group.name}/{name}")
    # Arrays may name other files as their storage: those are none of the user's weights.
    if not isinstance(node, h5py.Dataset) or node.external or node.is_virtual:
        raise InputError(f"weights file {path}: {group.name}/{name} is not a plain array")
    return node


def _member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Returns what a group itself holds under a name; links may lead to other files."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None
    return group[name]


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _extracted(path: Path, folder: Path) -> Path:
    """Takes the weights out of an archive, in bounds; the rest of it is never looked at."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(_WEIGHTS_IN_ARCHIVE)
        if info.file_size > MAX_FILE_BYTES:
            raise InputError(f"weights in {path} are {info.file_size:,} bytes: too many")
        target = folder / _WEIGHTS_IN_ARCHIVE
        with archive.open(info) as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)
    return target
