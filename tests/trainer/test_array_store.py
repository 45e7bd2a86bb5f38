"""In memory or in a file, an array is what was put into it."""

import errno
import os
import resource

import numpy as np
import pytest

from trainer import array_store
from trainer.array_store import ArrayStore


@pytest.mark.parametrize("memory_mb", [0, 100])
def test_what_was_put_in_comes_out(memory_mb, monkeypatch):
    monkeypatch.setattr(array_store, "_RESIDENT_BYTES", 1000)
    store = ArrayStore((3, 40, 5), np.float16, memory_mb)
    assert store.in_file == (memory_mb == 0)
    values = np.random.default_rng(0).normal(size=store.shape)
    for row in range(40):
        store[:, row] = values[:, row]
    np.testing.assert_array_equal(
        store[[0, 2], [39, 1]], values.astype(np.float16)[[0, 2], [39, 1]]
    )
    np.testing.assert_array_equal(store[:], values.astype(np.float16))


def test_a_file_is_not_held_in_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    store = ArrayStore((1000, 1 << 20), np.uint8, memory_mb=0)
    for row in range(1000):
        store[row] = row % 251
    assert int(store[777, 12]) == 777 % 251
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000  # kB, of the 1 GB that was written


def test_a_full_disk_is_told_with_the_need(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device.*needs 4 MB") as told:
        ArrayStore((4, 1 << 20), np.uint8, memory_mb=0)
    assert told.value.errno == errno.ENOSPC
