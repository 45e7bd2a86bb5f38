import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config import PipelineConfig
from pipeline.launch import Request
from pipeline.layout import Output, RunFolder
from pipeline.progress import Progress

ROOT = Path(__file__).parents[2]
STAND_IN = Path(__file__).parent / "stand_in.py"


class Recorder:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.events: list[str] = []
        self.log: list[str] = []
        self.progress: Progress | None = None

    def note(self, text: str) -> None:
        self.notes.append(text)

    def start(self, progress: Progress) -> None:
        self.progress = progress

    def on_event(self, event: dict, progress: Progress) -> None:
        self.events.append(event["event"])

    def on_log(self, line: str) -> None:
        self.log.append(line)

    def close(self) -> None:
        pass


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output.at(tmp_path / "output")


@pytest.fixture
def request_to_run(output: Output) -> Request:
    return Request(PipelineConfig(), "/data", output, wait=0)


@pytest.fixture
def stand_in() -> Callable[[str], Callable[[RunFolder, Request], list[str]]]:
    """Returns what makes the command of a child that plays a scenario."""
    return lambda scenario: lambda run, request: [sys.executable, str(STAND_IN), scenario]


@pytest.fixture
def environment() -> dict[str, str]:
    """For further Python processes, which find the project without its installation."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def image_folders(tmp_path: Path) -> Path:
    """Two classes of files that a listing, which opens none, takes for images."""
    root = tmp_path / "images"
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(6):
            (root / label / f"{number}.jpg").write_bytes(b"not opened")
    return root
