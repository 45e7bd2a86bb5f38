"""Weights that two programs can make alike from names and shapes alone."""

import zlib

import numpy as np


def seeded_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns float32 numbers of a size that keeps activations alive through many layers."""
    numbers = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith(("running_var", "moving_variance:0")):
        values = numbers.uniform(0.5, 1.5, shape)
    elif len(shape) == 1 and name.endswith(("weight", "gamma:0")):
        values = numbers.uniform(0.4, 0.8, shape)
    elif len(shape) == 1:
        values = numbers.normal(0.0, 0.1, shape)
    else:
        # torch has output channels first, Keras last; a depthwise kernel's fan-in is its window.
        fan_in = np.prod(shape[1:] if "weight" in name else shape[:-1])
        if "depthwise" in name:
            fan_in = np.prod(shape[:2])
        values = numbers.normal(0.0, np.sqrt(2.0 / fan_in), shape)
    return values.astype(np.float32)


def seeded_pixels(size: int) -> np.ndarray:
    """Returns uint8 [2, size, size, 3]: blocks of colour under noise."""
    numbers = np.random.default_rng(size)
    blocks = numbers.integers(0, 256, (2, size // 16, size // 16, 3))
    noise = numbers.normal(0, 20, (2, size, size, 3))
    return (blocks.repeat(16, 1).repeat(16, 2) + noise).clip(0, 255).astype(np.uint8)
