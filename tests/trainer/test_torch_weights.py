import collections
import io
import os
import pickle
import struct
from typing import ClassVar

import numpy as np
import pytest

from components.errors import InputError
from trainer.backbones import weight_files
from trainer.backbones.torch_weights import read_state_dict


class _StandIn:
    """Pickles as a call of a named function, which need not exist."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def _global(module, name):
    """A function that pickles under another name."""
    function = type(name, (), {"__module__": module, "__qualname__": name})
    return function


class _Pickler(pickle._Pickler):
    """Writes named globals without looking whether they exist, and storages by persistent id."""

    def save_global(self, obj, name=None):
        self.write(pickle.GLOBAL + f"{obj.__module__}\n{obj.__qualname__}\n".encode())
        self.memoize(obj)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, type: save_global}

    def persistent_id(self, obj):
        return obj if isinstance(obj, tuple) and obj[:1] == ("storage",) else None


def _dump(obj) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, 2).dump(obj)
    return stream.getvalue()


def _tensor(key, count, shape, stride, offset=0, storage="FloatStorage"):
    pid = ("storage", _global("torch", storage), key, "cpu", count, None)
    rebuild = _global("torch._utils", "_rebuild_tensor_v2")
    return _StandIn(rebuild, pid, offset, shape, stride, False, None)


def _file(state, storages) -> bytes:
    """A state dict as torch.save wrote it before 1.6."""
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [0x1950A86A20F9469CFC6C, 1001, facts, state, list(storages)]
    content = b"".join(_dump(part) for part in parts)
    for values in storages.values():
        content += struct.pack("<q", len(values)) + values.astype("<f4").tobytes()
    return content


@pytest.fixture
def good() -> bytes:
    state = collections.OrderedDict(
        rows=_tensor("0", 6, (2, 3), (3, 1)), columns=_tensor("0", 6, (3, 2), (1, 3))
    )
    return _file(state, {"0": np.arange(6)})


def _read(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return read_state_dict(path)


def test_reads_tensors_by_shape_and_stride(tmp_path, good):
    state = _read(tmp_path, good)
    assert list(state) == ["rows", "columns"]
    np.testing.assert_array_equal(state["rows"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(state["columns"], [[0, 3], [1, 4], [2, 5]])


def test_every_truncation_is_refused(tmp_path, good):
    for length in range(len(good)):
        with pytest.raises(InputError, match="damaged"):
            _read(tmp_path, good[:length])


def test_code_is_refused_and_not_run(tmp_path):
    trap = tmp_path / "trap"
    call = _StandIn(_global(os.mkdir.__module__, "mkdir"), str(trap))
    for state in (call, {"weight": call}):
        with pytest.raises(InputError, match=r"posix\.mkdir, which is refused"):
            _read(tmp_path, _file(state, {}))
    assert not trap.exists()


@pytest.mark.parametrize(
    "tensor",
    [
        _tensor("0", 6, (7,), (1,)),
        _tensor("0", 6, (3,), (1,), offset=4),
        _tensor("0", 6, (2,), (-1,), offset=1),
        _tensor("0", 6, (1_000_000, 1_000_000), (0, 0)),
        _tensor("0", 6, (2, 3), (1,)),
        _tensor("0", 1 << 60, (2,), (1,)),
        _tensor("1", 6, (2,), (1,)),
        _tensor("0", 6, (2,), (1,), storage="UntypedStorage"),
        [1.0, 2.0],
    ],
)
def test_tensors_that_lie_are_refused(tmp_path, tensor):
    with pytest.raises(InputError, match="damaged"):
        _read(tmp_path, _file({"weight": tensor}, {"0": np.arange(6)}))


def test_other_files_are_refused(tmp_path, monkeypatch):
    for content in (b"", b"PK\x03\x04", pickle.dumps({"weight": [1.0]})):
        with pytest.raises(InputError, match="not a torch state dict"):
            _read(tmp_path, content)
    with pytest.raises(InputError, match="can't be read"):
        read_state_dict(tmp_path / "absent.pth")
    monkeypatch.setattr(weight_files, "MAX_FILE_BYTES", 10)
    with pytest.raises(InputError, match="at most 10"):
        _read(tmp_path, b"x" * 11)
