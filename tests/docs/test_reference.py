"""The pages of the reference that are written by hand name all that is in the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import summary

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
# Said to libraries by the project, and by nobody to it.
INTERNAL = {"KERAS_BACKEND", "PYTHONUNBUFFERED"}
VARIABLE = re.compile(
    r'_VARIABLE = "([A-Z_]+)"'
    r'|os\.environ(?:\.get\(|\.setdefault\(|\[)"([A-Z_]+)"'
    r'|"([A-Z_]+)" (?:not )?in os\.environ'
)
EVENT = re.compile(r'\brecord\(\s*"(\w+)"')


def in_the_code(pattern: re.Pattern[str]) -> Iterator[str]:
    for layer in ("components", "trainer", "pipeline"):
        for source in (ROOT / layer).rglob("*.py"):
            for found in pattern.finditer(source.read_text(encoding="utf-8")):
                yield next(filter(None, found.groups()))


def named(page: str, heading: str = "") -> set[str]:
    """What stands in code style in the first columns of tables: of a page, or below a heading."""
    section = (REFERENCE / page).read_text(encoding="utf-8")
    if heading:
        section = section.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| ")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_environment_variable_is_told() -> None:
    found = set(in_the_code(VARIABLE)) - INTERNAL
    assert {"EFFNET_NOTIFY_WEBHOOK", "TF_CONFIG", "KUBECONFIG"} <= found
    told = named("environment.md")
    assert found <= told
    ours = {name for name in told if name.startswith("EFFNET_")}
    assert ours <= found


def test_every_event_is_told_and_no_other() -> None:
    found = set(in_the_code(EVENT)) | {"warning"}
    assert found == named("files.md", "Events")


@pytest.mark.parametrize("name", [name for name in vars(summary) if name.startswith("EXIT_")])
def test_every_exit_status_is_told(name: str) -> None:
    text = (REFERENCE / "files.md").read_text(encoding="utf-8").split("## Exit status")[1]
    assert f"\n| {getattr(summary, name)} |" in text
