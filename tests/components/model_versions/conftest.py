from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.model_versions import Version, publish, remove_old


def write_model(folder: Path, content: str) -> Path:
    """A folder laid out as a SavedModel; versions are names and bytes only."""
    (folder / "variables").mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(f"graph {content}")
    (folder / "variables" / "variables.index").write_text(f"weights {content}")
    return folder


@pytest.fixture
def make_model() -> Callable[[Path, str], Path]:
    return write_model


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", "first")


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    """The folder of a model's versions, not made yet."""
    return tmp_path / "serving" / "classifier"


@pytest.fixture
def push(tmp_path: Path, serving: Path) -> Callable[..., tuple[Version, bool]]:
    """Publishes a model of a given content, and leaves `keep` versions where that is given."""

    def do(content: str, keep: int | None = None, **options: Any) -> tuple[Version, bool]:
        model = write_model(tmp_path / "candidate", content)
        facts = {"run_id": content, **options.pop("facts", {})}
        found = publish(model, serving, schema=None, facts=facts, **options)
        if keep is not None and found[1]:
            remove_old(serving, keep)
        return found

    return do


@pytest.fixture
def three(push: Callable[..., tuple[Version, bool]], serving: Path) -> Path:
    """A folder of three versions, 1 to 3."""
    for content in ("one", "two", "three"):
        push(content)
    return serving
