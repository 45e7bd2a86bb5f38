"""Arrays larger than memory: in memory up to a budget, beyond it in a mapped file."""

import math
import mmap
import os
import tempfile
from typing import Any

import numpy as np

# Pages of a mapped file that were touched count as the process's memory until they are let go.
_RESIDENT_BYTES = 128 << 20


class ArrayStore:
    """An array that is filled and read by parts.

    Attributes:
        shape: of the whole.
        dtype: of its numbers.
        in_file: whether it lies in a file, which has no name and vanishes with the process.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, memory_mb: int) -> None:
        """Makes an empty array.

        Args:
            shape: of the whole.
            dtype: of its numbers.
            memory_mb: budget; a larger array lies in a file in the temporary folder.

        Raises:
            OSError: the file does not fit on the disk.
        """
        self.shape, self.dtype = shape, np.dtype(dtype)
        size = math.prod(shape) * self.dtype.itemsize
        self.in_file = size > memory_mb << 20
        self._map = _map_file(size) if self.in_file else None
        self._values: np.ndarray = (
            np.empty(shape, self.dtype)
            if self._map is None
            else np.frombuffer(self._map, self.dtype).reshape(shape)
        )
        self._touched = 0

    def __getitem__(self, key: Any) -> np.ndarray:
        """Copies a part."""
        values = self._values[key]
        if values.base is not None:  # a view; a selection by rows is a copy already
            values = values.copy()
        self._count(values.nbytes)
        return values

    def __setitem__(self, key: Any, values: Any) -> None:
        """Fills a part; values are converted to the array's type."""
        self._values[key] = values
        self._count(self._values[key].nbytes)

    def _count(self, size: int) -> None:
        self._touched += size
        if self._map is not None and self._touched > _RESIDENT_BYTES:
            self._touched = 0
            # The kernel keeps what was written: in its cache while there is room, else on disk.
            self._map.madvise(mmap.MADV_DONTNEED)


def _map_file(size: int) -> mmap.mmap:
    with tempfile.TemporaryFile() as file:
        try:
            # A hole that can't be filled later would kill the process without a word.
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: the cache of activations needs {size >> 20} MB in "
                f"{tempfile.gettempdir()}; fewer trainer.augmentation.views need less",
            ) from error
        return mmap.mmap(file.fileno(), size)
