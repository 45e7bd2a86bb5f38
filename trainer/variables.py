"""Reading and filling Keras variables, whatever number of devices holds them."""

import keras
import numpy as np


def values(variables: list[keras.Variable]) -> list[np.ndarray]:
    """Returns what variables hold."""
    return [keras.ops.convert_to_numpy(variable.value) for variable in variables]


def assign(variables: list[keras.Variable], arrays: list[np.ndarray]) -> None:
    """Fills variables, in their order."""
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)
