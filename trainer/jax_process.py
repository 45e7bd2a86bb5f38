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
        RuntimeError: the process was killed.
        Exception: what the function raises.
    """
    check_installed()
    # Pickled, but by ourselves, in a folder that this user alone can read.
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _ORDER).write_bytes(pickle.dumps((work, arguments)))
        status = subprocess.run(
            [sys.executable, "-m", "trainer.jax_process", folder],
            env={**os.environ, "KERAS_BACKEND": "jax"},
            check=False,
        ).returncode
        error = Path(folder) / _ERROR
        if error.exists():
            raise pickle.loads(error.read_bytes())
    if status != 0:
        raise RuntimeError(
            f"the process that trains by JAX ended with {status}, maybe for lack of memory; the "
            "next run goes on from its last epoch"
        )


def main() -> None:
    """Carries an order out; leaves the error that ended it, if one did."""
    folder = Path(sys.argv[1])
    work, arguments = pickle.loads((folder / _ORDER).read_bytes())
    import jax

    devices = jax.devices()
    print(f"trains by JAX on {len(devices)} x {devices[0].device_kind}", flush=True)
    try:
        work(*arguments)
    except Exception as error:
        traceback.print_exc()
        (folder / _ERROR).write_bytes(pickle.dumps(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
