"""Digests of source code, so that edited code is never answered from the cache.

TFX's cache knows a node's inputs and parameters but not the code that it runs, so the digest is
one of the parameters.
"""

import hashlib
import importlib.util
from pathlib import Path


def code_digest(*modules: str) -> str:
    """Returns the hex SHA-256 of modules' sources; of a package, everything in it."""
    digest = hashlib.sha256()
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
