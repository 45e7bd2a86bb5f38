"""Imports heavy libraries without their greetings, which heed no log level."""

import importlib
import logging
import os
from types import ModuleType


def import_quietly(module: str) -> ModuleType:
    """Imports a module, and what it needs of TensorFlow and Beam, without a word on stderr."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.ERROR)
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        return importlib.import_module(module)
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
