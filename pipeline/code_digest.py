"""Digests of the code that a node runs, so that other code is never answered from the cache.

TFX's cache knows a node's inputs and parameters but neither our code nor the libraries' versions,
so their digest is one of the parameters.
"""

import hashlib
import importlib.util
import json
from pathlib import Path

from pipeline.summary import library_versions


def code_digest(*modules: str) -> str:
    """Returns the hex SHA-256 of the libraries' versions and of modules' sources.

    Of a package, everything in it counts.
    """
    digest = hashlib.sha256(json.dumps(library_versions(), sort_keys=True).encode())
    for module in modules:
        for file in _sources(module):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _sources(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of '{module}'")
    origin = Path(spec.origin)
    return sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
