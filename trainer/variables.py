"""Reading and filling Keras variables, whatever number of devices holds them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def values(variables: list[keras.Variable]) -> list[np.ndarray]:
    """Returns what variables hold."""
    return [keras.ops.convert_to_numpy(variable.value) for variable in variables]


def assign(variables: Sequence[keras.Variable], arrays: Sequence[Any]) -> None:
    """Fills variables, in their order."""
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)
