"""Several pods train, for the Trainer's task: real processes behind an API of our own."""

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import urllib3

from components import kubernetes_api
from components.errors import ClusterError, TrainingJobError
from components.model_versions import read_training
from components.run_events import RUN_DIR_VARIABLE
from pipeline.kfp import training_job
from pipeline.kfp.parameters import Run
from pipeline.kfp.task import Task
from pipeline.kubeflow_config import KubeflowConfig, PlacementConfig
from pipeline.node_facts import NodeRecord
from pipeline.trainer_placement_config import TpuConfig
from tests.training_operator import JOBS, PODS, Operator, run_forked, training_operator
from tests.transformed import Transformed, tiny_training, transform_images
from trainer.config import StageConfig
from trainer.hardware_config import HardwareConfig

TYPES = {
    "inputs": {
        "examples": "tfx.types.standard_artifacts.Examples",
        "transform_graph": "tfx.types.standard_artifacts.TransformGraph",
    },
    "outputs": {
        "model": "tfx.types.standard_artifacts.Model",
        "model_run": "tfx.types.standard_artifacts.ModelRun",
    },
    "integers": [],
}
BUCKET = "minio://mlpipeline/run"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Transformed:
    return transform_images(tmp_path_factory.mktemp("transformed"))


@dataclass
class Cluster:
    """An operator, a pod for the task, and a volume that all pods see."""

    operator: Operator
    root: Path
    images: Transformed
    start_seconds: int = 120

    @property
    def shared(self) -> Path:
        return self.root / "volume" / "shared"

    @property
    def pod(self) -> Path:
        return self.root / "pod" / "minio" / "mlpipeline" / "run"

    def task(self, several: bool = True, **training: Any) -> Task:
        """The Trainer's task with its inputs on the pod's disk, where the launcher puts them."""
        examples = self.pod / "examples"
        if not examples.exists():
            examples.mkdir(parents=True)
            (self.pod / "transform_graph").symlink_to(self.images.graph)
            for split in ("train", "val"):
                (examples / f"Split-{split}").symlink_to(getattr(self.images, split))
        config = tiny_training().model_copy(update={"stages": (head(epochs=2),), **training})
        custom = {
            "checkpoints": str(self.shared / "checkpoints"),
            "code_digest": "",
            "weights_digest": "",
            "train_config": config.model_dump_json(),
            "transform_config": self.images.config.model_dump_json(),
        }
        values = {
            "run_fn": "trainer.run.run_fn",
            "train_args": json.dumps({"splits": ["train"]}),
            "eval_args": json.dumps({"splits": ["val"]}),
            "custom_config": json.dumps(custom),
            "effnet_uuid": "8a5b3c1e",
            "effnet_created": "2026-11-24T03:00:00Z",
            "effnet_output": str(self.root / "output"),
        }
        if several:
            values["effnet_workers"] = self.config().of_workers().model_dump_json()
        given = {
            "inputs": {
                "parameterValues": values,
                "artifacts": {
                    "examples": _listed("examples", {"split_names": '["train", "val"]'}),
                    "transform_graph": _listed("transform_graph"),
                },
            },
            "outputs": {
                "artifacts": {key: _listed(key) for key in (*TYPES["outputs"], "executor-logs")},
                "outputFile": str(self.root / "pod" / "kfp_outputs" / "output_metadata.json"),
            },
        }
        executor = "tfx.components.trainer.executor.GenericExecutor"
        return Task("Trainer", executor, given, TYPES, [])

    def config(self) -> KubeflowConfig:
        workers = {"count": 2, "shared": str(self.shared), "start_seconds": self.start_seconds}
        volume = {"claim": "effnet", "path": str(self.root / "volume")}
        placement = {"volumes": [volume], "env": {"TF_CPP_MIN_LOG_LEVEL": "2"}}
        return KubeflowConfig.parse(
            {"image": "registry/effnet:1", "placement": placement, "workers": workers}
        )


def _listed(key: str, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"artifacts": [{"uri": f"{BUCKET}/{key}", "metadata": metadata or {}}]}


@pytest.fixture
def cluster(
    images: Transformed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("EFFNET_KFP_MOUNTS", str(tmp_path / "pod"))
    monkeypatch.setenv("KFP_POD_NAME", "effnet-trainer-pod")
    monkeypatch.setenv("KFP_POD_UID", "0f1e")
    monkeypatch.setattr(training_job, "_LONGEST_PAUSE", 1.0)
    logs = tmp_path / "logs"
    logs.mkdir()
    with training_operator(logs) as (operator, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield Cluster(operator, tmp_path, images)


def head(epochs: int) -> StageConfig:
    return StageConfig(train="head", epochs=epochs, learning_rate=1e-2)


def start(cluster: Cluster, task: Task) -> BaseProcess:
    """Starts the task by its own command."""
    return run_forked(task.command(task.given), os.environ, cluster.root / "task.log")


def end(cluster: Cluster, process: BaseProcess) -> tuple[int | None, str]:
    """Returns the exit status and the log; no pod and no job may be left."""
    process.join(240)
    log = (cluster.root / "task.log").read_text(encoding="utf-8")
    assert process.exitcode is not None, log[-3000:]
    assert (cluster.operator.jobs, cluster.operator.pods) == ({}, {})
    assert [file.name for file in cluster.shared.iterdir() if file.name != "checkpoints"] == []
    return process.exitcode, log


def test_the_chief_of_two_workers_leaves_the_tasks_model(cluster):
    task = cluster.task()
    status, log = end(cluster, start(cluster, task))
    assert status == 0, log[-3000:]
    facts = read_training(cluster.pod / "model" / "Format-Serving")
    assert facts["images"] == {"train": 24, "val": 6}
    assert list((cluster.pod / "model_run").rglob("events.out*"))
    told = json.loads(task.output_file.read_text())
    assert told["artifacts"].keys() == {"model", "model_run"}
    assert not (cluster.pod / "executor-logs").exists()
    # One record of the task, with what the chief has told.
    (file,) = (cluster.root / "output").rglob("nodes/*.json")
    record = json.loads(file.read_text())
    assert (record["node"], record["state"]) == ("Trainer", "done")
    assert record["facts"]
    assert "epoch" in {event["event"] for event in record["events"]}
    assert "2 workers" in log and "successfully completed" in log
    (job,) = cluster.operator.made
    assert job["metadata"]["ownerReferences"][0]["uid"] == "0f1e"
    asked = {re.sub("/effnet-trainer-[^/]*", "", request) for request in cluster.operator.seen}
    assert asked == {f"{verb} {JOBS}" for verb in ("GET", "POST", "DELETE")} | {f"GET {PODS}/log"}


def test_the_chiefs_part_of_the_report_is_the_tasks(cluster, monkeypatch):
    folder, own = cluster.root / "shared", cluster.root / "own"
    task = cluster.task()
    chief = folder / "chief" / "runs" / Run.of(task.parameters).id
    record = NodeRecord(node="Trainer", state="done", started=1.0, seconds=2.0)
    files = {"report/training.json": "{}", "nodes/Trainer.json": record.model_dump_json()}
    for name, text in files.items():
        (chief / name).parent.mkdir(parents=True)
        (chief / name).write_text(text)
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(own))
    training_job._tell_again(task, folder)
    assert (own / "report" / "training.json").read_text() == "{}"


def test_what_workers_find_wrong_is_the_tasks_own_error(cluster):
    status, log = end(cluster, start(cluster, cluster.task(weights="/nowhere.weights.h5")))
    assert status == 2, log[-3000:]
    last = log.strip().rpartition("\n")[2]
    assert last.startswith("error: TFJob training/effnet-trainer-")
    assert "ended with status 2 (Error): weights file /nowhere.weights.h5" in last
    assert not (cluster.pod / "model" / "Format-Serving").exists()


def test_a_worker_that_is_killed_ends_the_task(cluster):
    def kill(operator: Operator) -> None:
        if any(cluster.shared.glob("checkpoints/*/*")):  # It trains: the other waits for it.
            operator.stop(next(name for name in operator.pods if "-worker-" in name), kill=True)

    cluster.operator.on_look = kill
    status, log = end(cluster, start(cluster, cluster.task(stages=(head(epochs=5000),))))
    assert status == 1, log[-3000:]
    assert "replica(s) failed" in log and "-worker-0 ended with status 137 (OOMKilled)" in log


def test_a_task_that_is_ended_ends_its_workers(cluster):
    process = start(cluster, cluster.task())
    cluster.operator.on_look = lambda operator: os.kill(process.pid, signal.SIGTERM)
    status, log = end(cluster, process)
    assert status == 128 + signal.SIGTERM, log[-3000:]
    assert len(cluster.operator.made) == 1


def test_what_machines_are_missing_is_told(cluster):
    cluster.operator.full, cluster.start_seconds = True, 1
    with pytest.raises(TrainingJobError, match=r"0 of 2 workers run.*Insufficient nvidia.com/gpu"):
        training_job.train(cluster.task())
    assert cluster.operator.jobs == {}


def test_the_job_of_a_former_attempt_is_replaced(cluster):
    operator = cluster.operator
    operator.full, cluster.start_seconds = True, 1

    def attempt() -> str:
        with pytest.raises(TrainingJobError, match="0 of 2 workers run"):
            training_job.train(cluster.task())
        return operator.made[-1]["metadata"]["name"]

    name = attempt()
    # As the pod of an attempt leaves them that is killed.
    operator.jobs[name] = {**operator.made[-1], "metadata": {"name": name, "uid": "former"}}
    (cluster.shared / name).mkdir()
    (cluster.shared / name / "torn").touch()
    operator.seen.clear()
    assert attempt() == name
    verbs = [request.partition(" ")[0] for request in operator.seen]
    assert verbs.index("DELETE") < verbs.index("POST")
    assert not (cluster.shared / name).exists()


def test_an_api_that_fails_for_a_while_ends_no_training(cluster, monkeypatch):
    monkeypatch.setattr(kubernetes_api, "_RETRIES", urllib3.Retry(total=0))
    monkeypatch.setattr(training_job, "_FIRST_PAUSE", 0.05)
    cluster.operator.full, cluster.start_seconds = True, 1
    cluster.operator.on_post = [("GET", "tfjobs", 503)] * 3
    with pytest.raises(TrainingJobError, match="0 of 2 workers run"):
        training_job.train(cluster.task())
    assert cluster.operator.answers == []
    monkeypatch.setattr(training_job, "_OUTAGE_SECONDS", 0)
    cluster.operator.on_post = [("GET", "tfjobs", 503)] * 3
    with pytest.raises(TrainingJobError, match="503"):
        training_job.train(cluster.task())


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "needs the verbs get, create, delete on tfjobs.*kubeflow/base"),
        (404, "install Kubeflow's Training Operator 1.x"),
    ],
)
def test_a_cluster_that_can_not_train_is_told(cluster, status, said):
    cluster.operator.answers = [("GET", "tfjobs", status)]
    with pytest.raises(ClusterError, match=said):
        training_job.train(cluster.task())
    assert cluster.operator.made == []


def test_a_tpu_that_is_not_there_ends_the_task_before_a_training(cluster, monkeypatch):
    tpu = TpuConfig(accelerator="tpu-v5-lite-podslice", topology="2x2", chips=4)
    for name, value in PlacementConfig(tpu=tpu).environment.items():
        monkeypatch.setenv(name, value)
    task = cluster.task(several=False, hardware=HardwareConfig(backend="jax"))
    process = start(cluster, task)
    process.join(240)
    log = (cluster.root / "task.log").read_text(encoding="utf-8")
    assert process.exitcode == 1, log[-3000:]
    assert "'tpu'" in log.strip().rpartition("error: ")[2]
