"""What the readers of all kinds of weights files share."""

from pathlib import Path

import keras

from components.errors import InputError

MAX_FILE_BYTES = 1 << 30


def layers_to_fill(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers that have weights, without those that only normalise pixels.

    The latter's names count up with every model that is built, and what they hold is known.
    """
    return [
        layer
        for layer in model.layers
        if layer.weights and not isinstance(layer, keras.layers.Normalization)
    ]


def check_size(path: Path) -> None:
    """Refuses a file that is not there, or too large to be weights.

    Raises:
        InputError: naming it.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"weights file {path} can't be read: {error.strerror}") from error
    if size > MAX_FILE_BYTES:
        raise InputError(
            f"weights file {path} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read"
        )
