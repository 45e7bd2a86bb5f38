"""How far a run has come, told by its events."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["waiting", "running", "done", "cached", "failed"]


@dataclass
class Node:
    """One node of the pipeline."""

    name: str
    state: State = "waiting"
    started: float | None = None
    finished: float | None = None

    def seconds(self, now: float) -> float:
        """How long it has taken so far, or took."""
        if self.started is None:
            return 0.0
        return max(0.0, (self.finished or now) - self.started)


@dataclass(frozen=True)
class Epoch:
    """The last finished epoch of one stage of training."""

    stage: str
    number: int
    total: int
    values: Mapping[str, float]


@dataclass
class Progress:
    """What the events so far add up to."""

    started: float
    stopped: float | None = None
    nodes: dict[str, Node] = field(default_factory=dict)
    epochs: dict[str, Epoch] = field(default_factory=dict)
    activity: str = ""
    images: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    artifacts: set[str] = field(default_factory=set)

    @property
    def running(self) -> Node | None:
        """The node at work; None while TensorFlow and TFX start, and between nodes."""
        return next((node for node in self.nodes.values() if node.state == "running"), None)

    def seconds(self) -> dict[str, float]:
        """Seconds that each finished node took."""
        return {
            node.name: round(node.seconds(node.finished), 3)
            for node in self.nodes.values()
            if node.finished is not None
        }

    def apply(self, event: Mapping[str, Any]) -> None:
        """Takes one event in; kinds that say nothing of the progress change nothing.

        Raises:
            KeyError, TypeError, ValueError: if the event isn't made as it should be.
        """
        match event["event"]:
            case "plan":
                for name in event["nodes"]:
                    self._node(name)
            case "node_started" | "node_finished" | "node_failed":
                self._move(event)
            case "epoch":
                self._add_epoch(event)
            case "progress":
                self.activity = f"{event['what']} {int(event['done'])}/{int(event['total'])}"
            case "images":
                self.images = {key: int(event[key]) for key in ("train", "val", "test", "rejected")}
            case "warning":
                self.warnings.append(str(event["text"]))
            case "artifacts":
                self.artifacts.update(map(str, event["uris"]))

    def stop(self, now: float) -> Node | None:
        """Marks the node that still runs as failed: the process that ran it is gone."""
        self.stopped = now
        node = self.running
        if node is not None:
            node.state, node.finished = "failed", now
        return node

    def _node(self, name: str) -> Node:
        return self.nodes.setdefault(name, Node(name))

    def _move(self, event: Mapping[str, Any]) -> None:
        node, time = self._node(event["node"]), float(event["time"])
        self.activity = ""
        if event["event"] == "node_started":
            node.state, node.started, node.finished = "running", time, None
            return
        node.started = time if node.started is None else node.started
        node.finished = time
        if event["event"] == "node_failed":
            node.state = "failed"
        else:
            node.state = "cached" if event.get("cached") else "done"

    def _add_epoch(self, event: Mapping[str, Any]) -> None:
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        values = {name: float(event[name]) for name in names if event.get(name) is not None}
        stage = str(event["stage"])
        self.epochs[stage] = Epoch(stage, int(event["epoch"]), int(event["epochs"]), values)
        self.activity = ""


class LineTail:
    """Follows a file that another process appends to, by whole lines."""

    def __init__(self, path: Path):
        self._path = path
        self._offset = 0
        self._rest = b""

    def lines(self) -> list[str]:
        """Returns the lines that were completed since the last call."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]


def apply_line(progress: Progress, line: str) -> Mapping[str, Any] | None:
    """Takes a line of the events' file in.

    Returns:
        The event, or None for a line that isn't one: a full disk or a kill can tear the last
        line of a run, and what is lost there must not take the run's summary with it.
    """
    try:
        event = json.loads(line)
        progress.apply(event)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return event


def read_events(path: Path) -> Progress:
    """Returns what a whole file of events adds up to."""
    return add_up(LineTail(path).lines())


def add_up(lines: Iterable[str]) -> Progress:
    """Returns what lines of events add up to."""
    progress = Progress(started=0.0)
    for line in lines:
        apply_line(progress, line)
    return progress
