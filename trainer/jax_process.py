"""Work in a process of its own, whose Keras computes by JAX.

Keras takes its library when it is imported, and this process needs TensorFlow's for all else: the
transformed images, the exported model. No TensorFlow of the version that TFX needs is built for
TPUs; JAX is. What the work leaves is on disk: a checkpoint, from which this process goes on.
"""

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.errors import ConfigError

_ORDER, _ERROR = "order", "error"


def check_installed() -> None:
    """Refuses what can't be run.

    Raises:
        ConfigError: JAX is missing.
    """
    if importlib.util.find_spec("jax") is None:
        raise ConfigError(
            "trainer.hardware.backend is jax, which is not installed: install effnet-tfx[tpu], or "
            "effnet-tfx[jax] to train by it on a CPU"
        )


def in_jax_process(work: Callable[..., None], *arguments: Any) -> None:
    """Calls a function of a module there.

    Raises:
        ConfigError: JAX is missing.
        RuntimeError: the process ended without a word.
        Exception: what the function raises.
    """
    check_installed()
    # Pickled, but by ourselves, in a folder that this user alone can read.
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _ORDER).write_bytes(pickle.dumps((work, arguments)))
        with subprocess.Popen(
            # -P: nothing in the working directory may pass for a module of ours.
            [sys.executable, "-P", "-m", "trainer.jax_process", folder],
            env={**os.environ, "KERAS_BACKEND": "jax"},
            stdin=subprocess.PIPE,
        ) as process:
            status = process.wait()
        error = Path(folder) / _ERROR
        if error.exists():
            raise pickle.loads(error.read_bytes())
    if status != 0:
        hint = ", which is how the kernel ends a process when memory runs out"
        raise RuntimeError(
            f"the process that trains by JAX ended with status {status}"
            f"{hint if status == -9 else ''}; the next run goes on from its last epoch"
        )


def main() -> None:
    """Carries an order out; leaves the error that ended it, if one did."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(sys.argv[1])
    try:
        work, arguments = pickle.loads((folder / _ORDER).read_bytes())
        import jax

        devices = jax.local_devices()
        print(f"trains by JAX on {len(devices)} x {devices[0].device_kind}", flush=True)
        work(*arguments)
    except Exception as error:
        traceback.print_exc()
        (folder / _ERROR).write_bytes(_pickled(error))
        sys.exit(1)


def _end_with_parent() -> None:
    """Whoever else goes on from the checkpoint must not meet this process at it."""
    os.read(sys.stdin.fileno(), 1)  # which ends when the parent does
    os._exit(1)


def _pickled(error: Exception) -> bytes:
    """The error, or its words where it can't be sent."""
    try:
        sent = pickle.dumps(error)
        pickle.loads(sent)
        return sent
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main()
