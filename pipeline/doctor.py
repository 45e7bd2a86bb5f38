"""What this host has of what runs need: each thing with what it is for, and how to mend it."""

import contextlib
import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from components.errors import ConfigError
from pipeline import doctor_probes
from pipeline.config import PipelineConfig
from pipeline.doctor_finding import Finding, State
from pipeline.doctor_weights import weights
from pipeline.notify_config import WEBHOOK_VARIABLE

PYTHONS = ((3, 11), (3, 13))
# In an order in which each finds imported what it needs.
LIBRARIES = (
    "numpy",
    "pyarrow",
    "apache_beam",
    "tensorflow",
    "keras",
    "ml_metadata",
    "tfx_bsl",
    "tensorflow_transform",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tfx.orchestration.local.local_dag_runner",
    "kserve",
)
_LIBRARIES_SECONDS = 600.0
_PROBE_SECONDS = 60.0
_DISK_GB = (1.0, 5.0)  # less than the former is missing, less than the latter a warning
_MEMORY_GB = (2.0, 5.0)
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def examine(config: PipelineConfig, output: Path) -> Iterator[Finding]:
    """Looks at this host, the quick things first.

    Args:
        config: what a run is to do.
        output: the folder that it is to write to; it need not be there.
    """
    yield python()
    yield compiler()
    yield cores()
    yield memory()
    yield disk(output)
    yield from extras(config)
    yield from secrets(config)
    yield from weights(config)
    yield kubernetes(config)
    yield from libraries(config)
    if config.trainer.hardware.backend == "jax":
        yield jax_devices()


def python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Looks at the version of Python."""
    oldest, newest = (".".join(map(str, one)) for one in PYTHONS)
    return Finding(
        "Python",
        "ok" if PYTHONS[0] <= version <= PYTHONS[1] else "missing",
        ".".join(map(str, version)),
        f"everything; TFX is built for {oldest} to {newest}",
        f"make .venv by one of these: make venv PYTHON=python{oldest}",
    )


def compiler() -> Finding:
    """Looks for what compiles the one package that comes as source."""
    lacking = [] if shutil.which(os.environ.get("CXX", "c++").split()[0]) else ["a C++ compiler"]
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        lacking.append("Python's headers")
    return Finding(
        "compiler",
        "missing" if lacking else "ok",
        f"without {' and '.join(lacking)}" if lacking else "C++ and Python's headers",
        "installing (pyfarmhash is compiled); not for runs",
        f"apt-get install g++ python3.{sys.version_info[1]}-dev",
        required=False,
    )


def cores() -> Finding:
    """Counts the processors that this process may use."""
    count = len(os.sched_getaffinity(0))
    return Finding(
        "cores",
        "ok" if count > 1 else "warning",
        str(count),
        "speed: with one, reading images and training wait for each other",
        "allow it two or more",
    )


def memory() -> Finding:
    """Looks at the memory that is free, to this host and within a container's limit."""
    free = psutil.virtual_memory().available / 1e9
    with contextlib.suppress(OSError, ValueError):  # where there is no limit
        free = min(free, int(_CGROUP_LIMIT.read_text()) / 1e9)
    return Finding(
        "memory",
        _enough(free, _MEMORY_GB),
        f"{free:.1f} GB free",
        "training (some 3 GB), and beside it the server of the check (some 1 GB)",
        "close other programs, or set trainer.batch_size and trainer.cache.memory_mb lower",
    )


def disk(output: Path) -> Finding:
    """Looks at the room where the output goes."""
    place = output.expanduser().absolute()
    while not place.exists():
        place = place.parent
    name, purpose = "disk", "the output: transformed images, caches, models"
    if not (place.is_dir() and os.access(place, os.W_OK)):
        found = f"{place} is no folder that can be written to"
        return Finding(name, "missing", found, purpose, "name another --output")
    free = shutil.disk_usage(place).free / 1e9
    mend = "free some, name another --output, or remove old runs by 'effnet clean'"
    return Finding(name, _enough(free, _DISK_GB), f"{free:.1f} GB free for {output}", purpose, mend)


def _enough(amount: float, bounds: tuple[float, float]) -> State:
    least, good = bounds
    return "missing" if amount < least else "warning" if amount < good else "ok"


def extras(config: PipelineConfig) -> Iterator[Finding]:
    """Looks for the packages that only some uses need."""
    output = config.kubeflow.output
    jax = config.trainer.hardware.backend == "jax"
    kinds = (
        ("s3fs", "s3", "images or output on s3://", output.startswith("s3://")),
        ("gcsfs", "gcs", "images or output on gs://", output.startswith("gs://")),
        ("kfp", "kfp", "'effnet compile', 'submit' and 'schedule'", False),
        ("jax", "tpu", "trainer.hardware.backend: jax (TPUs)", jax),
    )
    for module, extra, purpose, required in kinds:
        there = importlib.util.find_spec(module) is not None
        yield Finding(
            module,
            "ok" if there else "missing",
            "installed" if there else "not installed",
            purpose,
            f"pip install 'effnet-tfx[{extra}]'",
            required,
        )


def secrets(config: PipelineConfig) -> Iterator[Finding]:
    """Looks whether the environment has what the configuration leaves to it; not what it is."""
    for name, purpose, read in (
        ("webhook", "notify: who is told of each verdict", config.notify.address),
        ("metadata", "the database of ML Metadata", config.metadata.password),
    ):
        try:
            there = read() is not None
        except ConfigError as error:
            yield Finding(name, "missing", str(error), purpose, "set that variable")
            continue
        if there:
            yield Finding(name, "ok", "the environment has it", purpose)
        elif name == "webhook" and WEBHOOK_VARIABLE in os.environ:
            found = f"{WEBHOOK_VARIABLE} is set, but notify.enabled is not"
            yield Finding(name, "warning", found, purpose, "set notify.enabled to true")


def kubernetes(config: PipelineConfig) -> Finding:
    """Asks the cluster that a kubeconfig or a service account names."""
    settings = config.serving.kubernetes
    context = [settings.context] if settings and settings.context else []
    answers, end = doctor_probes.ask("kubernetes", context, _PROBE_SECONDS)
    facts = {key: value for answer in answers for key, value in answer.items()}
    problem = facts.get("error") or end
    host = facts.get("host", "no cluster")
    return Finding(
        "Kubernetes",
        "missing" if problem else "ok",
        f"{host}: {problem}" if problem else f"{host}, {facts['version']}",
        "serving.kubernetes: a push that an InferenceService follows; not for other runs",
        "name a kubeconfig by KUBECONFIG, with a context that works",
        required=settings is not None,
    )


def libraries(config: PipelineConfig, names: Sequence[str] = LIBRARIES) -> Iterator[Finding]:
    """Imports the libraries, and looks at the GPUs that TensorFlow sees."""
    for name, error, facts in doctor_probes.load_libraries(names, _LIBRARIES_SECONDS):
        yield Finding(
            name,
            "missing" if error else "ok",
            error or f"{facts['version']} loads, in {facts['seconds']} s".strip(),
            "every run",
            "on an older host the wheels need an edit that 'make venv' does; else install anew",
        )
        if "gpus" in facts:
            yield gpus(config, facts["gpus"])


def gpus(config: PipelineConfig, count: int) -> Finding:
    """Judges the number of GPUs by what the configuration asks for."""
    hardware = config.trainer.hardware
    wanted = hardware.strategy == "mirrored" or hardware.precision == "mixed_float16"
    return Finding(
        "GPUs",
        "warning" if wanted and not count else "ok",
        f"TensorFlow sees {count}" if count else "none: training runs on the processors",
        "speed",
        "install effnet-tfx[gpu] where there is one, and look at nvidia-smi",
        required=False,
    )


def jax_devices() -> Finding:
    """Looks at what JAX would train on."""
    answers, end = doctor_probes.ask("jax", [], _PROBE_SECONDS)
    return Finding(
        "JAX's devices",
        "ok" if answers else "missing",
        ", ".join(answers[0]["devices"]) if answers else f"none: {end}",
        "trainer.hardware.backend: jax",
        "install effnet-tfx[tpu] on a TPU's host, effnet-tfx[jax] elsewhere",
    )
