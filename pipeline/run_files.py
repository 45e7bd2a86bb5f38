"""What a run has left in its folder, on a file system or in a bucket, read for people."""

import contextlib
import functools
import time
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from components.run_events import EVENTS_FILE
from components.run_report.parts import FOLDER as PARTS
from components.run_report.parts import DataPart, Part
from components.store import MAX_TEXT_BYTES, Store, is_remote
from pipeline.layout import CONFIG_FILE, NODES_FOLDER, SUMMARY_FILE, Output, RunFolder
from pipeline.lock import holder_of
from pipeline.node_facts import NodeRecord
from pipeline.node_records import progress_of, read_records
from pipeline.progress import Progress, add_up
from pipeline.summary import Outcome, Summary

# On a cluster nobody but the last task says that a run has ended, and that one may be killed.
_GIVEN_UP_SECONDS = 7 * 86_400

P = TypeVar("P", bound=Part)


def lock_holder(run_id: str) -> str:
    """Returns how a run names itself in the lock of its output."""
    return f"run {run_id}"


class RunFiles:
    """The files of one run. One that is damaged counts as missing.

    Raises:
        StoreError: from all that reads, if the store can't be used.
    """

    def __init__(self, output: Store, run_id: str) -> None:
        """Looks what is there.

        Args:
            output: the output folder.
            run_id: the run's.
        """
        self.output, self.id = output, run_id
        self.folder = output.child("runs", run_id)
        self.names = frozenset(self.folder.names())

    @property
    def path(self) -> RunFolder:
        """Where they lie; of a bucket it is no more than a text."""
        return RunFolder(Path(self.folder.address))

    def text(self, name: str) -> str | None:
        """Returns a file's text; None where it is missing, or larger than a run leaves any."""
        if name.partition("/")[0] not in self.names:
            return None
        try:
            if self.folder.size(name) > MAX_TEXT_BYTES:
                return None
            return self.folder.read_bytes(name).decode("utf-8", "replace")
        except OSError:
            return None

    @functools.cached_property
    def summary(self) -> Summary | None:
        """What the run came to; None before its end, and where it was killed before it."""
        with contextlib.suppress(ValidationError):
            return Summary.model_validate_json(self.text(SUMMARY_FILE) or "")
        return None

    @functools.cached_property
    def outcome(self) -> Outcome | None:
        """The last word of the process that ran the nodes."""
        with contextlib.suppress(ValidationError):
            return Outcome.model_validate_json(self.text(self.path.outcome.name) or "")
        return None

    @functools.cached_property
    def is_running(self) -> bool:
        """Whether it goes on."""
        if self.summary is not None:
            return False
        address = self.output.address
        if is_remote(address) or NODES_FOLDER in self.names:
            return time.time() - self.path.started < _GIVEN_UP_SECONDS
        return holder_of(Output.at(address).lock) == lock_holder(self.id)

    @functools.cached_property
    def records(self) -> list[NodeRecord]:
        """What its tasks on a cluster have left; [] of a run on this machine."""
        if NODES_FOLDER not in self.names:
            return []
        return read_records(self.folder.child(NODES_FOLDER))

    @functools.cached_property
    def progress(self) -> Progress:
        """How far it has come."""
        if NODES_FOLDER in self.names:
            return progress_of(self.records)
        return add_up((self.text(EVENTS_FILE) or "").splitlines())

    @functools.cached_property
    def config(self) -> str | None:
        """The configuration in effect, as YAML."""
        return self.text(CONFIG_FILE)

    def setting(self, *path: str) -> Any:
        """Returns one value of the configuration; None where it can't be told."""
        found = self._settings
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    @functools.cached_property
    def _settings(self) -> Any:
        with contextlib.suppress(
            yaml.YAMLError, ValueError
        ):  # the latter of a date like 2026-13-01
            return yaml.safe_load(self.config or "")
        return None

    def part(self, kind: type[P]) -> P | None:
        """Returns what a node has left for the report."""
        return kind.parse(self.text(f"{PARTS}/{kind.file()}"))

    @functools.cached_property
    def data(self) -> DataPart | None:
        """What ingestion found."""
        return self.part(DataPart)
