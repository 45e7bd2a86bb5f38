"""The Trainer's task where several pods train: it has a TFJob do the work, and awaits it.

The pods run the task's own command, with artifacts on a volume that all of them see. The chief's
model is the task's output; the others write to a folder of no consequence.
"""

import copy
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from components import run_events
from components.errors import EffnetError, InputError, TrainingJobError
from components.kubernetes_api import ConflictError, Object, ObjectApi, connect, own_namespace
from components.run_report import parts
from pipeline.kfp import tf_job
from pipeline.kfp.parameters import PREFIX, WORKERS, Run
from pipeline.kfp.staging import staged
from pipeline.kfp.task import Task
from pipeline.kfp.worker_pods import WorkerPods
from pipeline.kubeflow_config import KubeflowConfig
from pipeline.layout import NODES_FOLDER
from pipeline.node_facts import NodeRecord
from pipeline.summary import EXIT_INPUT

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # seconds, between two looks at the job
_OUTAGE_SECONDS = 900.0  # that the API may fail for while the pods go on
_GONE_SECONDS = 120.0
# Of the pod that this process runs in.
_POD_NAME, _POD_UID = "KFP_POD_NAME", "KFP_POD_UID"


def train(task: Task) -> None:
    """Has several pods train, and leaves the chief's outputs as the task's own.

    Raises:
        ClusterError: the cluster can't be used as it is set.
        InputError: the data or the settings can't be trained on.
        TrainingJobError: the pods did not train a model.
    """
    config = KubeflowConfig.parse_json(task.parameters[PREFIX + WORKERS])
    assert config.workers is not None
    job = _Job(_name(task), config)
    # It may be at work in the folder yet, if the task's pod was killed.
    job.delete()
    with staged(task.given, Path(config.workers.shared) / job.name) as given:
        folder = Path(config.workers.shared) / job.name
        commands = [_command(task, given, folder, chief) for chief in (True, False)]
        with job.created(*commands):
            job.wait()
        _keep(_output_file(folder, chief=True), task.output_file)
        _tell_again(task, folder)


def _name(task: Task) -> str:
    """Returns the same name for each attempt of a task, and for no other run's."""
    digest = hashlib.sha256(Run.of(task.parameters).uuid.encode()).hexdigest()
    return f"effnet-{task.node.lower()}-{digest[:16]}"


def _output_file(folder: Path, chief: bool) -> Path:
    return folder / ("chief" if chief else "workers") / "output.json"


def _command(task: Task, given: Mapping[str, Any], folder: Path, chief: bool) -> list[str]:
    """Returns the command of a pod: the task's own, on the shared folder."""
    own = copy.deepcopy(dict(given))
    file = _output_file(folder, chief)
    own["outputs"]["outputFile"] = str(file)
    values = own["inputs"]["parameterValues"]
    del values[PREFIX + WORKERS]
    # What a task tells of itself in the output folder, the one that awaits them tells.
    values[PREFIX + "output"] = str(file.parent)
    if not chief:
        for key, listed in own["outputs"].get("artifacts", {}).items():
            listed["artifacts"][0]["uri"] = str(file.parent / key)
    return task.command(own)


def _keep(source: Path, target: Path) -> None:
    if not source.is_file():
        raise TrainingJobError("the chief of the workers ended well, but left no outputs")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _tell_again(task: Task, folder: Path) -> None:
    """Records what the chief has recorded, and takes over what it has left for the report."""
    run = _output_file(folder, chief=True).parent / "runs" / Run.of(task.parameters).id
    parts.tell_again(str(run))
    file = run / NODES_FOLDER / f"{task.node}.json"
    record = NodeRecord.model_validate_json(file.read_bytes())
    for event in record.events:
        facts = {key: value for key, value in event.items() if key not in ("time", "event")}
        run_events.record(event["event"], **facts)


class _Job:
    """One TFJob in the namespace of this pod."""

    def __init__(self, name: str, config: KubeflowConfig) -> None:
        assert config.workers is not None
        access, namespace = connect(tf_job.KIND), own_namespace(tf_job.KIND)
        self.name, self._config, self._workers = name, config, config.workers
        self._api = ObjectApi(tf_job.KIND, namespace, name, access)
        self._pods = WorkerPods(access, namespace, tf_job.pod_names(name, config.workers.count))

    @contextmanager
    def created(self, chief: list[str], worker: list[str]) -> Iterator[None]:
        """Creates the job, and deletes it in the end, whatever happened."""
        name, uid = os.environ.get(_POD_NAME), os.environ.get(_POD_UID)
        owner = tf_job.Owner(name, uid) if name and uid else None
        try:
            # There is one already where the answer to a request was lost, and it was sent again.
            with suppress(ConflictError):
                self._api.create(tf_job.manifest(self.name, self._config, chief, worker, owner))
            _say(f"TFJob {self._api}: {self._workers.count} workers")
            yield
        finally:
            self._put_away()

    def _put_away(self) -> None:
        """Deletes the job; where that fails, its owner's end does so."""
        try:
            self.delete()
        except EffnetError as error:
            _say(str(error))

    def delete(self) -> None:
        """Deletes the job if there is one, and waits until its pods are gone.

        Raises:
            TrainingJobError: they are still there.
        """
        deadline = time.monotonic() + _GONE_SECONDS
        for pause in _pauses():
            found = self._api.get()
            if found is None:
                return
            if "deletionTimestamp" not in found["metadata"]:
                with suppress(ConflictError):  # another one by now, which is read next
                    self._api.delete(found, propagation="Foreground")
            if time.monotonic() > deadline:
                raise TrainingJobError(
                    f"TFJob {self._api} is still there {_GONE_SECONDS:g} seconds after it was "
                    f"deleted: see to it with kubectl describe tfjob -n {self._api.namespace} "
                    f"{self.name}"
                )
            time.sleep(pause)

    def wait(self) -> None:
        """Waits until the chief has ended well.

        Raises:
            InputError: a pod says that the data or the settings can't be used.
            TrainingJobError: a pod failed, or not all run in time, or somebody deleted the job.
        """
        deadline, all_ran = time.monotonic() + self._workers.start_seconds, False
        for pause in _pauses():
            job = self._read()
            end = tf_job.end_of(job)
            if end is not None:
                return self._tell_end(*end)
            if not all_ran and tf_job.running(job) == self._workers.count:
                all_ran = True
                _say(f"all run; kubectl logs -f -n {self._api.namespace} {self.name}-chief-0")
            if not all_ran and time.monotonic() > deadline:
                raise TrainingJobError(
                    f"{tf_job.running(job)} of {self._workers.count} workers run after "
                    f"{self._workers.start_seconds} seconds (kubeflow.workers.start_seconds): "
                    f"{self._pods.waiting()}"
                )
            time.sleep(pause)

    def _read(self) -> Object:
        """Reads the job; an API that fails for a while does not end a training."""
        deadline = time.monotonic() + _OUTAGE_SECONDS
        for pause in _pauses():
            try:
                job = self._api.get()
                break
            except TrainingJobError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(pause)
        if job is None:
            raise TrainingJobError(f"somebody deleted TFJob {self._api} meanwhile")
        return job

    def _tell_end(self, end: str, message: str) -> None:
        if end == "Succeeded":
            _say(self._pods.log(f"{self.name}-chief-0"))
            return _say(f"TFJob {self._api}: {message}")
        failure = self._pods.failure()
        if failure is None:
            raise TrainingJobError(f"{message.rstrip('.')}; its pods tell nothing")
        kind = InputError if failure.status == EXIT_INPUT else TrainingJobError
        raise kind(f"{message.rstrip('.')}: {failure.text}")


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _say(text: str) -> None:
    print(text, flush=True)
