"""Digests of what a node's inputs and parameters don't show, so that no stale answer is taken.

TFX's cache knows neither our code, nor the libraries' versions, nor what is in a file that a
setting names; so their digests are among the parameters.
"""

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from components.retrain_check.decision import CODE, SETTINGS
from components.store import is_remote, open_store
from pipeline.config import PipelineConfig
from pipeline.summary import library_versions

_SHARED = ("components.features", "components.image_ops")  # what training and serving share
# What every part of the pipeline goes by.
CONTRACT = (*_SHARED, "components.model_versions")
_REPORT = "components.run_report"
# For the report, by nodes that look at labels.
TOLD = (f"{_REPORT}.label_issues", f"{_REPORT}.parts", f"{_REPORT}.thumbnails")
TRAINING = ("trainer", "components.tuner", *TOLD, *CONTRACT)


def code_digest(*modules: str) -> str:
    """Returns the hex SHA-256 of the libraries' versions and of modules' sources.

    Of a package, everything in it counts.
    """
    digest = hashlib.sha256(json.dumps(library_versions(), sort_keys=True).encode())
    for module in modules:
        for file in _sources(module):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def file_digest(path: str) -> str:
    """Returns the hex SHA-256 of a file's content; "" where a setting names no file.

    Args:
        path: a path, or an address on S3 or GCS.
    """
    if is_remote(path):
        folder, _, name = path.rpartition("/")
        return hashlib.sha256((open_store(folder).read_text(name) or "").encode()).hexdigest()
    if not Path(path).is_file():
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def trained_by(config: PipelineConfig) -> dict[str, Any]:
    """Returns what a model is trained by, beside its images, as JSON values.

    Settings of transform and trainer by their dotted paths, and one digest of the code, the
    libraries and the weights' file.
    """
    parts = {"transform": config.transform, "trainer": config.trainer}
    settings = {
        f"{section}.{name}": value
        for section, part in parts.items()
        for name, value in part.model_dump(mode="json", exclude={"label_check"}).items()
    }
    code = code_digest("trainer", "components.transform", "components.tuner", *_SHARED)
    return {SETTINGS: settings, CODE: code + file_digest(config.trainer.weights)}


def _sources(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of '{module}'")
    origin = Path(spec.origin)
    return sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
