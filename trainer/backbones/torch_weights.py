"""Reads torch checkpoints without torch, and without running anything that the file says.

A .safetensors file holds nothing but tensors, and there is a library for it. The legacy format of
state dicts (torch.save before 1.6) is a row of pickles: a magic number, a protocol number, facts
about the writing machine, the dict itself and the list of storage keys, followed by the storages'
raw numbers. A pickle can call any function; the reader here lets it name the handful that a dict
of tensors takes and answers every other name with an error.
"""

import io
import math
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from components.errors import InputError
from trainer.backbones.weight_files import check_size

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
}


@dataclass(frozen=True)
class _StorageType:
    dtype: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a torch state dict saved in the legacy format.

    Args:
        path: the file.

    Returns:
        Arrays by name, in the file's order, contiguous, in the dtype they were saved in.

    Raises:
        InputError: the file is missing, too large, truncated, of another format, or holds
            anything but tensors.
    """
    check_size(path)
    try:
        return _parse(path.read_bytes())
    # A damaged pickle can raise almost anything from inside the unpickler.
    except (
        ValueError,
        TypeError,
        LookupError,
        EOFError,
        AttributeError,
        ArithmeticError,
        MemoryError,
        struct.error,
        pickle.UnpicklingError,
    ) as error:
        raise InputError(
            f"weights file {path} is not a torch state dict in the legacy format, or it is "
            f"damaged: {error}"
        ) from error


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a .safetensors file, a format that holds nothing else.

    Raises:
        InputError: the file is missing, too large, damaged, or of a type that numpy lacks.
    """
    check_size(path)
    try:
        return load_file(path)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"weights file {path} is no .safetensors file: {error}") from error


def _parse(content: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(content)
    if _load(stream) != _MAGIC or _load(stream) != _PROTOCOL:
        raise ValueError("it does not begin with torch's magic and protocol numbers")
    if _load(stream).get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    tensors = _load(stream)
    if not isinstance(tensors, Mapping):
        raise ValueError(f"it holds a {type(tensors).__name__}, not a dict of tensors")
    declared: dict[str, _Storage] = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ValueError(f"entry {name!r} is a {type(tensor).__name__}, not a tensor")
        declared[tensor.storage.key] = tensor.storage
    storages = _read_storages(stream, _load(stream), declared)
    return {name: _materialise(tensor, storages) for name, tensor in tensors.items()}


def _read_storages(
    stream: io.BytesIO, keys: Any, declared: Mapping[str, _Storage]
) -> dict[str, np.ndarray]:
    storages: dict[str, np.ndarray] = {}
    for key in keys:
        storage = declared[key]
        (count,) = struct.unpack("<q", stream.read(8))
        if count != storage.count:
            raise ValueError(f"storage {key} has {count} numbers, {storage.count} were announced")
        data = stream.read(count * storage.dtype.itemsize)
        storages[key] = np.frombuffer(data, storage.dtype, count)
    return storages


def _materialise(tensor: _Tensor, storages: Mapping[str, np.ndarray]) -> np.ndarray:
    storage = storages[tensor.storage.key]
    if len(tensor.shape) != len(tensor.stride):
        raise ValueError("a tensor's shape and stride differ in length")
    if min((tensor.offset, *tensor.shape, *tensor.stride), default=0) < 0:
        raise ValueError("a tensor has a negative offset, size or stride")
    count = math.prod(tensor.shape)
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True))
    # A stride of 0 repeats numbers: a small file could ask for an array of any size.
    if count > len(storage) or (count and tensor.offset + last >= len(storage)):
        raise ValueError("a tensor reaches beyond its storage")
    view = np.lib.stride_tricks.as_strided(
        storage[tensor.offset :],
        tensor.shape,
        [step * storage.itemsize for step in tensor.stride],
        writeable=False,
    )
    return np.ascontiguousarray(view).reshape(tensor.shape)


def _load(stream: io.BytesIO) -> Any:
    return _TensorUnpickler(stream).load()


class _TensorUnpickler(pickle.Unpickler):
    """Knows OrderedDict, torch's tensor constructor and its storage types, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return _StorageType(_DTYPES[name])
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is refused")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _location, count, view = pid
        if kind != "storage" or view is not None or not isinstance(storage_type, _StorageType):
            raise pickle.UnpicklingError("it refers to something that is not a plain storage")
        return _Storage(str(key), np.dtype(storage_type.dtype), int(count))


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: Any, stride: Any, *_gradient_facts: Any
) -> _Tensor:
    """Stands in for torch._utils._rebuild_tensor_v2, whose further arguments concern gradients."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))
