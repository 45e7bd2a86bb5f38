"""Where everything of one output folder lies; the only module that knows.

    OUTPUT/
        serving/<model name>/<version>/   what serving systems watch
        schema/<model name>.pbtxt         a schema that a person accepted
        runs/<run id>/                    a run's configuration, events, log, summary, report, and
                                          what its data check found
        index.html                        all runs
        metadata.sqlite                   ML Metadata, unless a database keeps it
        artifacts/                        what TFX's nodes produced; their cache answers from here
        checkpoints/                      where an interrupted training goes on from
        data/                             the demo's images
        scratch/                          of the run that goes on; between runs nothing of it counts
        .lock                             held by the one command at work here

Output folders of this machine's runs are local. On Kubeflow, OUTPUT may be an address on S3 or GCS:
of the above, what is no artifact lies below it, and `components.store` reads and writes it.
"""

import datetime
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from components.errors import InputError, OutputError
from components.run_events import EVENTS_FILE
from components.store import is_remote

SUMMARY_FILE = "summary.json"
CONFIG_FILE = "config.yaml"
REPORT_FILE = "report.html"
INDEX_FILE = "index.html"
SCHEMA_FOLDER = "schema"
NODES_FOLDER = "nodes"  # of a run on a cluster: what each of its tasks left of itself

_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_RUN_TIME = "%Y%m%d-%H%M%S"


def new_run_id() -> str:
    """Returns an id that sorts by time, in UTC so that it does so through changes of the clock."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now.strftime(_RUN_TIME)}-{secrets.token_hex(2)}"


def is_run_id(name: str) -> bool:
    """Tells a run's id from other names."""
    if _RUN_ID.fullmatch(name) is None:
        return False
    try:
        _started(name)
    except ValueError:
        return False
    return True


def _started(run_id: str) -> datetime.datetime:
    time = datetime.datetime.strptime(run_id.rpartition("-")[0], _RUN_TIME)
    return time.replace(tzinfo=datetime.UTC)


def absolute(location: str) -> str:
    """Makes a local path independent of the working folder; addresses stay as they are.

    Raises:
        InputError: if it is empty, which would mean the working folder.
    """
    if not location.strip():
        raise InputError(
            "an empty path was given: name --data and --output; if a shell variable stands there, "
            "it is not set"
        )
    return location if is_remote(location) else str(Path(location).expanduser().absolute())


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def started(self) -> float:
        """When it started, in seconds since the epoch."""
        return _started(self.id).timestamp()

    @property
    def config(self) -> Path:
        """The configuration in effect."""
        return self.path / CONFIG_FILE

    @property
    def events(self) -> Path:
        """What the run told, a line of JSON an event."""
        return self.path / EVENTS_FILE

    @property
    def log(self) -> Path:
        """What the libraries printed."""
        return self.path / "run.log"

    @property
    def outcome(self) -> Path:
        """The run's own last word; missing when it was killed."""
        return self.path / "outcome.json"

    @property
    def summary(self) -> Path:
        """What `effnet run --json` prints."""
        return self.path / SUMMARY_FILE

    @property
    def report(self) -> Path:
        """The page of the run."""
        return self.path / REPORT_FILE


@dataclass(frozen=True)
class Output:
    """An output folder."""

    root: Path

    @classmethod
    def at(cls, location: str | Path) -> Self:
        """Names the output folder without touching it.

        Raises:
            OutputError: if it isn't local.
        """
        if is_remote(str(location)):
            raise OutputError(
                f"the output must be a local folder, received '{location}': runs on this machine "
                "keep their metadata, cache and log there. An address on S3 or GCS is taken by "
                "--data, 'effnet models', 'effnet schema', and, on Kubeflow, kubeflow.output"
            )
        return cls(Path(absolute(str(location))))

    @classmethod
    def existing(cls, location: str | Path) -> Self:
        """Names an output folder that some run has made.

        Raises:
            OutputError: if there is none: the name is mistyped, rather than the folder new.
        """
        output = cls.at(location)
        if not output.root.is_dir():
            raise OutputError(f"there is no output folder '{output.root}'")
        return output

    @property
    def lock(self) -> Path:
        """The file that the one command at work here holds locked."""
        return self.root / ".lock"

    @property
    def index(self) -> Path:
        """The page of all runs."""
        return self.root / INDEX_FILE

    @property
    def runs(self) -> Path:
        """A folder for each run."""
        return self.root / "runs"

    @property
    def metadata(self) -> Path:
        """The SQLite file of ML Metadata."""
        return self.root / "metadata.sqlite"

    @property
    def artifacts(self) -> Path:
        """The pipeline root of TFX."""
        return self.root / "artifacts"

    @property
    def training_logs(self) -> Path:
        """TensorBoard's logs, a folder for each training."""
        return self.artifacts / "Trainer" / "model_run"

    @property
    def checkpoints(self) -> Path:
        """Folders to go on from, one for each digest of inputs and configuration."""
        return self.root / "checkpoints"

    @property
    def data(self) -> Path:
        """Data that the command itself brings."""
        return self.root / "data"

    @property
    def scratch(self) -> Path:
        """Temporary files, on the same file system as what they are to become."""
        return self.root / "scratch"

    def accepted_schema(self, model_name: str) -> Path:
        """The schema that `effnet schema accept` wrote for a model; it need not be there."""
        return self.root / SCHEMA_FOLDER / f"{model_name}.pbtxt"

    def serving(self, model_name: str) -> Path:
        """The folder of a model's numbered versions."""
        return self.root / "serving" / model_name

    def models(self) -> list[str]:
        """The names of the models that were pushed here."""
        folder = self.root / "serving"
        if not folder.is_dir():
            return []
        return sorted(
            entry.name
            for entry in folder.iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
        )

    def run(self, run_id: str) -> RunFolder:
        """The folder of one run."""
        return RunFolder(self.runs / run_id)

    def all_runs(self) -> list[RunFolder]:
        """Every run that left a folder, the oldest first."""
        if not self.runs.is_dir():
            return []
        names = sorted(entry.name for entry in self.runs.iterdir())
        return [self.run(name) for name in names if is_run_id(name)]
