"""Begins where the model that serves now has ended."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from components.errors import ConfigError

_HEAD = "logits/"


def exists(saved_model: str | None) -> bool:
    """Tells whether there is a model to begin from; on the first run there is none."""
    return bool(saved_model) and (Path(str(saved_model)) / "saved_model.pb").is_file()


def begin_from(network: keras.Model, labels: Sequence[str], saved_model: str) -> list[str]:
    """Fills a network with the weights of an exported one.

    Args:
        network: of the same backbone.
        labels: its classes; those that the exported model knows keep what it learnt of them,
            wherever they stand in its order, others keep their fresh weights.
        saved_model: written by `trainer.signatures.export`.

    Returns:
        The classes that the exported model does not know.

    Raises:
        ConfigError: it is of another backbone, or not one of this project's.
    """
    exported = tf.saved_model.load(saved_model)
    if not hasattr(exported, "weights"):
        raise ConfigError(
            f"trainer.warm_start: the model that serves, {saved_model}, does not tell its weights "
            "by name; train once with warm_start: none"
        )
    found = {path: weight.numpy() for path, weight in exported.weights.items()}
    known = [label.decode() for label in exported.classes.numpy()]
    shared = [label for label in labels if label in known]
    ours = [list(labels).index(label) for label in shared]
    theirs = [known.index(label) for label in shared]
    for variable in network.weights:
        value = np.array(variable)
        if variable.path.startswith(_HEAD) and variable.path in found:
            value[..., ours] = found[variable.path][..., theirs]
        else:
            value = found.get(variable.path, np.empty(0))
        if value.shape != tuple(variable.shape):
            raise ConfigError(
                "trainer.warm_start: the model that serves has another backbone (it lacks "
                f"{variable.path} of shape {tuple(variable.shape)}); set trainer.backbone to its "
                "own, or warm_start to none"
            )
        variable.assign(value)
        del found[variable.path]
    if found:
        raise ConfigError(
            "trainer.warm_start: the model that serves has another backbone (it also has "
            f"{next(iter(found))}); set trainer.backbone to its own, or warm_start to none"
        )
    return [label for label in labels if label not in known]
