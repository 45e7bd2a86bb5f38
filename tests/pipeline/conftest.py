import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.features import EXTRA
from components.model_versions import FACTS_FILE
from components.run_report.parts import DataPart
from pipeline.config import PipelineConfig
from pipeline.config_reference import render
from pipeline.launch import Request
from pipeline.layout import Output, RunFolder
from pipeline.progress import Progress
from pipeline.summary import Summary, Verdict

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


class LeftRuns:
    """Writes what runs leave in their folders."""

    def __init__(self, output: Output) -> None:
        self._output, self._config = output, render(PipelineConfig())

    def __call__(self, number: int, verdict: Verdict = "pushed", **facts: Any) -> RunFolder:
        """Leaves the folder of run `number`; facts are those of its summary."""
        run = self.start(number)
        told: dict[str, Any] = {"metrics": {"accuracy": 0.9, "examples": 100.0}}
        told |= {"data": "/images", "seconds": {"Trainer": 50.0, "total": 60.0}, "versions": {}}
        if verdict == "pushed":
            told["pushed_path"] = str(self._output.serving("classifier") / str(number))
        summary = Summary.model_validate({**told, "verdict": verdict, "run_id": run.id, **facts})
        run.summary.write_text(summary.to_json())
        return run

    @staticmethod
    def id(number: int) -> str:
        """Returns the id of a run that started `number` seconds into a day."""
        return time.strftime("20261124-%H%M%S-ab12", time.gmtime(number))

    def start(self, number: int) -> RunFolder:
        """Leaves the folder of a run that came no further than its training."""
        run = self._output.run(self.id(number))
        run.path.mkdir(parents=True)
        run.config.write_text(self._config)
        begun = {"event": "node_started", "node": "Trainer", "time": run.started + 10}
        epoch = {"event": "epoch", "stage": "head", "epoch": 2, "epochs": 8, "val_accuracy": 0.75}
        events = [{"event": "plan", "nodes": ["Trainer", "Pusher"]}, begun, epoch]
        run.events.write_text("".join(json.dumps(event) + "\n" for event in events))
        return run

    @staticmethod
    def leave_data(run: RunFolder, images: int = 7, span: str | None = None) -> DataPart:
        """Leaves what ingestion found."""
        part = DataPart(layout="folders", span=span, images={"train": {"cat": images}})
        (run.path / "report").mkdir()
        (run.path / "report" / part.file()).write_text(part.model_dump_json())
        return part

    @staticmethod
    def push(model_dir: Path, number: int, run: RunFolder) -> None:
        """Leaves a version that a run has pushed."""
        extra = model_dir / str(number) / EXTRA
        extra.mkdir(parents=True)
        (model_dir / str(number) / "saved_model.pb").touch()
        (extra / FACTS_FILE).write_text(json.dumps({"run_id": run.id}))


@pytest.fixture
def left_run(output: Output) -> LeftRuns:
    return LeftRuns(output)


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
