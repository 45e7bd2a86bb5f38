"""Tasks by the command lines of the golden package, as KFP's launcher fills them in."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tfx.types import standard_artifacts

from components.run_events import RUN_DIR_VARIABLE
from pipeline.kfp import entrypoint
from pipeline.kfp.artifacts import MOUNTS_VARIABLE, read_artifact
from pipeline.kfp.cures import INNER
from pipeline.kfp.parameters import Run
from pipeline.kfp.task import Task
from pipeline.node_facts import NodeRecord
from tests import images
from tests.pipeline.kfp.golden import FOLDER

ROOT = Path(__file__).parents[3]
SPEC = next(yaml.safe_load_all((FOLDER / "kfp.yaml").read_text(encoding="utf-8")))
BUCKET = "minio://mlpipeline/run"
LIGHT = """
import sys
from pipeline.kfp import entrypoint

entrypoint.main()
heavy = ("google.cloud.aiplatform", "tfx.components.trainer", "tfx.components.transform", "kfp")
found = [name for name in heavy if name in sys.modules]
assert not found, found
"""


class Pod:
    """What the launcher gives one task."""

    def __init__(self, root):
        self.root, self.output = root / "mounts", root / "output"
        self.run = {
            "effnet_uuid": "5a1fe1b2",
            "effnet_created": "2026-11-24T19:06:25Z",
            "effnet_output": str(self.output),
        }

    def folder(self, name):
        return self.root / "minio/mlpipeline/run" / name

    def command(self, node, inputs=None, outputs=(), **values):
        """Returns a command line of the package, with its {{$}} replaced."""
        declared = SPEC["root"]["inputDefinitions"]["parameters"]
        task = SPEC["components"][INNER]["dag"]["tasks"][node]
        given = {
            name: told["runtimeValue"]["constant"]
            if "runtimeValue" in told
            else declared[told["componentInputParameter"]]["defaultValue"]
            for name, told in task["inputs"]["parameters"].items()
        }
        return self.filled(self.container(node), {**given, **self.run, **values}, inputs, outputs)

    def container(self, node):
        return SPEC["deploymentSpec"]["executors"][f"{node}_executor"]["container"]["args"]

    def filled(self, arguments, values, inputs=None, outputs=()):
        # The backend knows no type of an input, and adds an output of its own.
        told = {
            name: {"uri": f"{BUCKET}/{name}", "type": {"instanceSchema": ""}, "metadata": metadata}
            for name, metadata in (inputs or {}).items()
        }
        made = {name: {"uri": f"{BUCKET}/{name}"} for name in (*outputs, "executor-logs")}
        executor_input = {
            "inputs": {"parameterValues": values, "artifacts": _listed(told)},
            "outputs": {"artifacts": _listed(made), "outputFile": str(self.output_file)},
        }
        return [a.replace("{{$}}", json.dumps(executor_input)) for a in arguments]

    @property
    def output_file(self):
        return self.folder("output_metadata.json")

    def record(self, node):
        file = self.output / "runs" / Run.of(self.run).id / "nodes" / f"{node}.json"
        return NodeRecord.model_validate_json(file.read_text(encoding="utf-8"))

    def start(self, *command):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), MOUNTS_VARIABLE: str(self.root)}
        return subprocess.Popen(
            [sys.executable, *command], env=environment, stderr=subprocess.PIPE, text=True
        )


def _listed(artifacts):
    return {name: {"artifacts": [told]} for name, told in artifacts.items()}


@pytest.fixture
def pod(tmp_path, monkeypatch):
    """A pod, in which this process can be a task."""
    for variable in (MOUNTS_VARIABLE, RUN_DIR_VARIABLE):
        monkeypatch.setenv(variable, str(tmp_path / "mounts"))
    monkeypatch.setattr(sys, "argv", [sys.argv[0]])
    former = signal.getsignal(signal.SIGTERM)
    yield Pod(tmp_path)
    signal.signal(signal.SIGTERM, former)


def test_a_task_leaves_the_properties_of_its_outputs_and_its_record(pod):
    entrypoint.main(pod.command("ServingBaseline", outputs=["baseline"], model_dir="/nowhere"))
    told = json.loads(pod.output_file.read_text())
    # No addresses: those that the backend has are right. And no logs, which are the launcher's.
    made = _listed({"baseline": {"metadata": {"serving_state": "none"}}})
    assert told == {"artifacts": made, "parameterValues": {}}
    assert pod.folder("baseline").is_dir()
    record = pod.record("ServingBaseline")
    assert (record.state, record.error, record.facts) == ("done", None, {"trained_splits": None})


def test_what_a_cut_off_attempt_has_left_in_the_outputs_is_removed(pod):
    """On Vertex AI they are in the bucket itself."""
    (pod.folder("baseline") / "beam-temp").mkdir(parents=True)
    entrypoint.main(pod.command("ServingBaseline", outputs=["baseline"], model_dir="/nowhere"))
    assert list(pod.folder("baseline").iterdir()) == []


def test_the_log_of_a_task_that_fails_ends_with_the_reason(pod, capfd):
    outputs = ["examples", "ingestion"]
    with pytest.raises(SystemExit) as ended:
        entrypoint.main(pod.command("ImageExampleGen", outputs=outputs, effnet_data="/nowhere"))
    assert ended.value.code == 2
    reason = "data path /nowhere doesn't exist (looked at /nowhere)"
    assert capfd.readouterr().err.endswith(f"\nerror: {reason}\n")
    assert not pod.output_file.exists()
    record = pod.record("ImageExampleGen")
    assert record.state == "failed"
    assert (record.error.kind, record.error.message) == ("input", reason)


def test_a_value_that_a_run_cant_have_ends_its_task(pod, capfd):
    with pytest.raises(SystemExit) as ended:
        entrypoint.main(pod.command("Trainer", effnet_backbone="b99", effnet_epochs="1,1"))
    assert ended.value.code == 2
    assert "error: backbone: unknown backbone 'b99'" in capfd.readouterr().err
    assert "unknown backbone 'b99'" in pod.record("Trainer").error.message


def test_a_task_whose_record_cant_be_left_has_failed(pod, capfd):
    """The run's summary would lack what it has found."""
    pod.output.write_text("a file where the output folder should be")
    with pytest.raises(SystemExit) as ended:
        entrypoint.main(pod.command("ServingBaseline", outputs=["baseline"], model_dir="/nowhere"))
    assert ended.value.code
    assert str(pod.output) in capfd.readouterr().err.rpartition("error:")[2]


def test_the_pusher_imports_what_it_needs_only(pod):
    """And takes what was 0 and came back as 0.0 for what it was."""
    inputs = {name: {} for name in _inputs("Pusher")}
    inputs["model_blessing"] = {"blessed": 0.0, "store_session_info": "{}"}
    inputs["infra_blessing"] = {"blessed": 1.0}
    command = pod.command("Pusher", inputs, ["pushed_model"])
    task = pod.start("-c", LIGHT, *command)
    assert task.wait(300) == 0, task.stderr.read()
    (pushed,) = json.loads(pod.output_file.read_text())["artifacts"]["pushed_model"]["artifacts"]
    assert pushed == {"metadata": {"pushed": 0}}
    assert pod.record("Pusher").facts["verdict"] == "refused"


def _inputs(node):
    return SPEC["components"][node]["inputDefinitions"]["artifacts"]


def test_a_pod_that_is_ended_puts_away_what_it_has_started(pod, tmp_path):
    mark = tmp_path / "mark"
    options = {
        "--node_id": "Trainer",
        "--executor_class_path": "tests.pipeline.kfp.executors.Waiting",
        "--json_serialized_invocation_args": "{{$}}",
        "--types": json.dumps({"inputs": {}, "outputs": {}, "integers": []}),
    }
    arguments = [word for option in options.items() for word in option]
    values = {**pod.run, "mark": str(mark)}
    task = pod.start("-m", "pipeline.kfp.entrypoint", *pod.filled(arguments, values))
    deadline = time.monotonic() + 200
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    task.send_signal(signal.SIGTERM)
    assert task.wait(60) == 128 + signal.SIGTERM
    assert mark.read_text() == "put away"
    assert task.stderr.read().rpartition("error: ")[2].startswith("the task was told to end")
    assert "SIGTERM" in pod.record("Trainer").error.message


def leaving(pod, tmp_path, fails=""):
    """Returns the command of a task that leaves a part of the report."""
    options = {
        "--node_id": "ImageExampleGen",
        "--executor_class_path": "tests.pipeline.kfp.executors.Leaving",
        "--json_serialized_invocation_args": "{{$}}",
        "--types": json.dumps({"inputs": {}, "outputs": {}, "integers": []}),
    }
    arguments = [word for option in options.items() for word in option]
    values = {**pod.run, "artifact": str(tmp_path / "artifact"), "fails": fails}
    return pod.filled(arguments, values)


def test_a_task_ends_well_though_its_part_of_the_report_is_lost(pod, tmp_path, capsys):
    place = pod.output / "runs" / Run.of(pod.run).id / "report"
    place.parent.mkdir(parents=True)
    place.write_text("in its place")
    entrypoint.main(leaving(pod, tmp_path))
    assert pod.record("ImageExampleGen").state == "done"
    assert "warning: the report lacks" in capsys.readouterr().out


@pytest.mark.parametrize(("fails", "status"), [("", 0), ("yes", 2)])
def test_what_a_task_leaves_for_the_report_reaches_the_runs_folder(pod, tmp_path, fails, status):
    with pytest.raises(SystemExit) if status else contextlib.nullcontext() as ended:
        entrypoint.main(leaving(pod, tmp_path, fails))
    assert (ended.value.code if status else 0) == status
    left = pod.output / "runs" / Run.of(pod.run).id / "report" / "data.json"
    assert left.read_bytes() == (tmp_path / "artifact" / "report" / "data.json").read_bytes()
    assert (left.parents[1] / "rejected.jsonl").read_text() == "{}\n"


def test_a_search_reaches_the_runs_folder(pod):
    results = {"tuner_results": "tfx.types.standard_artifacts.TunerResults"}
    arguments = [
        *("--node_id", "Tuner", "--json_serialized_invocation_args", "{{$}}"),
        *("--executor_class_path", "tests.pipeline.kfp.executors.Searching"),
        *("--types", json.dumps({"inputs": {}, "outputs": results, "integers": []})),
    ]
    entrypoint.main(pod.filled(arguments, pod.run, outputs=["tuner_results"]))
    run = pod.output / "runs" / Run.of(pod.run).id
    assert (run / "search.png").read_bytes() == b"a plot"
    assert json.loads((run / "search.json").read_text())["stopped"] == "no more"


def test_vertex_gives_parameters_by_the_older_schema():
    given = {
        "inputs": {
            "parameters": {"text": {"stringValue": "a"}, "number": {"intValue": "3"}},
        },
        "outputs": {"outputFile": "gs://bucket/run/output.json"},
    }
    types = {"inputs": {}, "outputs": {}, "integers": ["number"]}
    task = Task("Node", "an.Executor", given, types, [])
    assert task.parameters == {"text": "a", "number": 3}
    assert task.output_file == Path("/gcs/bucket/run/output.json")


def test_arguments_for_beam_are_what_is_left():
    task = Task.of(Pod(Path("/")).command("StatisticsGen"))
    assert task.node == "StatisticsGen"
    assert any(argument.startswith("--runner=") for argument in task.beam_arguments)


def test_workers_of_beam_find_the_artifacts_on_a_volume(pod, tmp_path, monkeypatch):
    images.write_class_folders(tmp_path / "data", {"cat": 12, "dog": 9})
    shared, seen, own = tmp_path / "shared", [], entrypoint._execute

    def watched(task, given, scratch, at_address=False):
        seen.extend(listed["uri"] for listed in task.described("outputs").values())
        return own(task, given, scratch, at_address)

    monkeypatch.setattr(entrypoint, "_execute", watched)
    values = {"effnet_data": str(tmp_path / "data"), "effnet_artifacts": str(shared)}
    entrypoint.main(pod.command("ImageExampleGen", outputs=["examples", "ingestion"], **values))
    assert len(seen) == 2
    assert all(Path(uri).is_relative_to(shared) for uri in seen)
    assert list(shared.iterdir()) == []
    assert list(pod.folder("examples").glob("Split-train/*"))
    assert pod.record("ImageExampleGen").facts["images"]["rejected"] == 0


def test_an_artifact_can_stay_in_its_bucket(tmp_path, monkeypatch):
    monkeypatch.setenv(MOUNTS_VARIABLE, str(tmp_path))
    described = {"uri": "gs://bucket/statistics"}
    artifact = read_artifact(described, standard_artifacts.ExampleStatistics, at_address=True)
    assert artifact.uri == "gs://bucket/statistics"
    assert list(tmp_path.iterdir()) == []
