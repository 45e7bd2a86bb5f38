"""What runs in each task's container, between KFP's launcher and a TFX executor.

TFX has an entrypoint of its own, for Vertex AI: it wants the types of artifacts from the backend,
knows no addresses but those that TensorFlow reads, and imports every component there is.
"""

import contextlib
import importlib
import importlib.util
import inspect
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from components.data_check.record import FILES as CHECK_FILES
from components.image_example_gen.records import REJECTED_FILE
from components.run_events import EVENTS_FILE, RUN_DIR_VARIABLE
from components.run_report.parts import FOLDER as REPORT_FOLDER
from components.store import Store, StoreError, open_store
from pipeline.failures import failed_outcome
from pipeline.kfp.parameters import ARTIFACTS, PREFIX, WORKERS, Run, executor_properties
from pipeline.kfp.task import Task
from pipeline.layout import NODES_FOLDER
from pipeline.node_facts import NodeRecord, collect
from pipeline.summary import Failure

if TYPE_CHECKING:
    from tfx.types import Artifact

Outputs = dict[str, list["Artifact"]]

_READ_IN_BYTES = "tfxio_use_byte_size_batching"


class Terminated(SystemExit):
    """The pod is to end; raised so that whatever the task has started is put away."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one task and leaves its record; the log of one that fails ends with the reason."""
    signal.signal(signal.SIGTERM, _terminate)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    task = Task.of(sys.argv[1:] if arguments is None else arguments)
    sys.argv[1:] = []  # which KServe parses when it is imported
    with _scratch() as scratch:
        status = _run_and_record(task, scratch)
    if status:
        sys.exit(status)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Yields a folder for events, and for all that is temporary; it is removed at the end."""
    former = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        os.environ[RUN_DIR_VARIABLE] = tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = former


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough
    raise Terminated(128 + number)


def _run_and_record(task: Task, scratch: Path) -> int:
    """Returns the exit status."""
    started, failure, status = time.time(), None, 0
    outputs: Outputs = {}
    try:
        outputs = run(task)
    except (Exception, Terminated) as error:
        failure, status = _failure(error)
        traceback.print_exc()
    try:
        _leave_record(task, started, failure, outputs, scratch)
    except Exception as error:
        traceback.print_exc()
        if failure is None:  # a run's summary must not lack what its tasks have found
            failure, status = _failure(error)
    if failure is not None:
        sys.stdout.flush()
        print(f"\nerror: {failure.message}", file=sys.stderr, flush=True)
    return status


def _failure(error: BaseException) -> tuple[Failure, int]:
    """Returns what to tell, and the exit status."""
    if isinstance(error, Terminated):
        message = (
            "the task was told to end (SIGTERM): its time was up, its machine was needed, or the "
            "run was ended by hand; training goes on from its last epoch when it runs again"
        )
        return Failure(kind="fault", message=message), int(str(error.code))
    failure = failed_outcome(error).error
    assert failure is not None
    return failure, failure.exit_status


def _leave_record(
    task: Task, started: float, failure: Failure | None, outputs: Outputs, scratch: Path
) -> None:
    run, events = Run.of(task.parameters), scratch / EVENTS_FILE
    lines = events.read_text(encoding="utf-8").splitlines() if events.is_file() else []
    record = NodeRecord(
        node=task.node,
        state="done" if failure is None else "failed",
        started=round(started, 3),
        seconds=round(time.time() - started, 3),
        error=failure,
        events=tuple(json.loads(line) for line in lines),
        facts=collect(task.node, outputs),
    )
    folder = open_store(run.output).child("runs", run.id)
    named = [scratch / name for name in (*CHECK_FILES, REJECTED_FILE)]
    for file in (*named, *_search_files(outputs)):
        if file.is_file():
            folder.put(file, file.name)
    folder.child(NODES_FOLDER).write_text(f"{task.node}.json", record.model_dump_json(indent=2))
    if (scratch / REPORT_FOLDER).is_dir():
        _leave_parts(scratch / REPORT_FOLDER, folder)


def _search_files(outputs: Outputs) -> list[Path]:
    """The table and the plot of a search, if this task was one."""
    if "tuner_results" not in outputs:
        return []
    from trainer.step_up import TABLE_FILE

    found = Path(outputs["tuner_results"][0].uri)
    return sorted(found.glob(f"{Path(TABLE_FILE).stem}.*"))


def _leave_parts(parts: Path, folder: Store) -> None:
    """Leaves what the task has for the run's page, whose lack of it must not end the run."""
    try:
        folder.put(parts, REPORT_FOLDER)
    except (OSError, StoreError) as error:
        print(f"warning: the report lacks what this task has for it: {error}", flush=True)


def run(task: Task) -> Outputs:
    """Runs a task's executor, and leaves the properties of its outputs to the launcher.

    Returns:
        The output artifacts by key.

    Raises:
        InputError: a parameter of the run, or the data, can't be used.
    """
    given = executor_properties(task.parameters)
    make_light("tfx.components")
    if (PREFIX + WORKERS) in task.parameters:
        from pipeline.kfp.training_job import train

        train(task)  # by other pods, of which one leaves the properties
        return _artifacts(task, "outputs")
    place = task.parameters.get(PREFIX + ARTIFACTS, "")
    if not place.startswith("/"):
        return _execute(task, given, Path(tempfile.mkdtemp()), at_address=bool(place))
    # For Beam's workers, who see a volume but not this pod's disk.
    from pipeline.kfp.staging import staged

    folder = Path(place) / f"{Run.of(task.parameters).id}-{task.node}"
    with staged(task.given, folder) as moved:
        outputs = _execute(replace(task, given=moved), given, folder / "tmp")
    for key, (artifact,) in _artifacts(task, "outputs").items():
        outputs[key][0].uri = artifact.uri
    return outputs


def _execute(task: Task, given: dict[str, Any], scratch: Path, at_address: bool = False) -> Outputs:
    from pipeline.kfp.artifacts import clear, properties

    inputs, outputs = (_artifacts(task, side, at_address) for side in ("inputs", "outputs"))
    for key, described in task.described("outputs").items():
        if not described["uri"].startswith("/"):  # where others of a TFJob may be at work
            clear(outputs[key][0])
    executor = _executor(task, scratch)
    _bound_batches()
    executor.Do(inputs, outputs, given)
    # Without addresses: the backend has them, and here they are those of folders.
    told = {key: properties(artifact) for key, (artifact,) in outputs.items()}
    task.output_file.parent.mkdir(parents=True, exist_ok=True)
    task.output_file.write_text(json.dumps(task.with_parameters(told)), encoding="utf-8")
    return outputs


def _artifacts(task: Task, side: str, at_address: bool = False) -> Outputs:
    from pipeline.kfp.artifacts import read_artifact

    types: Mapping[str, str] = task.types[side]
    return {
        key: [read_artifact(described, load(types[key]), at_address)]
        for key, described in task.described(side).items()
    }


def _executor(task: Task, scratch: Path) -> Any:
    executor_class = load(task.executor)
    context: dict[str, Any] = {
        "unique_id": task.output_file.parent.name,
        "tmp_dir": str(scratch),
    }
    if "beam_pipeline_args" in inspect.signature(executor_class.Context).parameters:
        context["beam_pipeline_args"] = task.beam_arguments
    return executor_class(executor_class.Context(**context))


def _bound_batches() -> None:
    """Makes TFX's readers, where they are, batch by bytes: images fill memory otherwise."""
    from absl import flags

    known = _READ_IN_BYTES in flags.FLAGS
    flags.FLAGS([sys.argv[0], *[f"--{_READ_IN_BYTES}"] * known])


def load(path: str) -> Any:
    """Returns what a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def make_light(package: str) -> None:
    """Has the modules of a package imported without its `__init__`, which imports them all.

    TFX's package of components has such a one, and an executor needs itself only.
    """
    if package in sys.modules:
        return
    parent, _, name = package.rpartition(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    setattr(importlib.import_module(parent), name, module)


if __name__ == "__main__":
    main()
