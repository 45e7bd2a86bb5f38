"""The compiled Kubeflow package, run whole by the tests' own backend.

A run pushes, the next one finds what it pushed and is refused, one has nothing to learn, and one
fails. Tasks are the commands of the file, in processes forked from one that has imported TFX.
"""

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import components as kfp_components
from typer.testing import CliRunner

from components.store import open_store
from pipeline import cli
from pipeline.kfp.compile import compile_package
from pipeline.options import effective_config
from tests import object_stores
from tests.images import write_class_folders
from tests.kfp_backend.backend import Backend, Run
from tests.kfp_backend.metadata import FAILED, OMITTED, SKIPPED, SUCCEEDED
from tests.kfp_backend.package import Package, read_package
from tests.kfp_backend.processes import ForkedProcesses

pytestmark = pytest.mark.e2e

CONFIG = {
    "retrain": {"if_changed": True},
    "transform": {"image_size": 32},
    "trainer": {
        "weights": "none",
        "stages": [{"train": "head", "epochs": 2, "learning_rate": 0.01}],
    },
    "gate": {
        "rules": [
            {"metric": "log_loss", "max": 100},
            {"metric": "accuracy", "max_decline": 0.99},
        ]
    },
}
# Everything that tasks would import; forks have it at once.
IMPORTED = (
    "pipeline.build",
    "pipeline.outcome",
    "tensorflow_model_analysis",
    "trainer.preprocessing",
    "trainer.run",
    "cleanlab.count",
    "components.run_report.page",
    "components.evaluator.pictures",
)
EXIT_TASK = "finish"
SECRET = {"access": "AWS_ACCESS_KEY_ID", "secret": "AWS_SECRET_ACCESS_KEY"}


@dataclass
class Project:
    """A cluster, and what a user has on it."""

    backend: Backend
    file: Path
    data: str
    output: str

    @classmethod
    def compiled(
        cls, root: Path, processes: ForkedProcesses, data: str, output: str, **kubeflow: Any
    ) -> "Project":
        """Compiles the pipeline.

        Args:
            root: where the cluster and the package lie.
            processes: that run the tasks.
            data: where the images are.
            output: the output folder, or its address.
            **kubeflow: more of the configuration's section.
        """
        file, config_file = root / "package.yaml", root / "config.yaml"
        kubeflow |= {
            "image": "registry/effnet:1",
            "pipeline_root": "minio://mlpipeline/v2/artifacts",
            "data": data,
            "output": output,
        }
        config_file.write_text(yaml.safe_dump({**CONFIG, "kubeflow": kubeflow}), encoding="utf-8")
        compile_package(effective_config(config_file), "kfp", file)
        return cls(Backend(root / "backend", processes), file, data, output)

    @property
    def package(self) -> Package:
        return read_package(self.file)

    @property
    def index(self) -> str:
        """The page of all runs."""
        return open_store(self.output).read_text("index.html") or ""

    def page(self, summary: dict[str, Any]) -> str:
        """The page of a run."""
        runs = open_store(self.output).child("runs", summary["run_id"])
        return runs.read_text("report.html") or ""

    def run(self, **parameters: Any) -> tuple[Run, dict[str, Any]]:
        """Runs the package; returns the summary that it left, too."""
        runs = open_store(self.output).child("runs")
        before = set(runs.names())
        run = self.backend.run(self.package, parameters)
        (run_id,) = set(runs.names()) - before
        summary = runs.child(run_id).read_text("summary.json")
        assert summary is not None, failures(self, run)
        return run, json.loads(summary)


@pytest.fixture(scope="module")
def processes() -> Iterator[ForkedProcesses]:
    with ForkedProcesses.started(*IMPORTED) as started:
        yield started


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, processes: ForkedProcesses, s3_endpoint: str
) -> Iterator[Project]:
    """Images and output are on S3, whose keys are in a secret of the cluster."""
    root = tmp_path_factory.mktemp("cluster")
    write_class_folders(root / "images", {"cat": 24, "dog": 24})
    with pytest.MonkeyPatch.context() as patch:
        object_stores.reach_s3(s3_endpoint, patch)
        placement = {
            "env": {name: os.environ[name] for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")},
            "secret_env": [{"secret": "object-store", "keys": SECRET}],
        }
        bucket = object_stores.make_bucket("s3", f"bucket-{uuid.uuid4().hex[:12]}")
        open_store(bucket).put(root / "images", "images")
        project = Project.compiled(
            root,
            processes,
            data=f"{bucket}/images",
            output=f"{bucket}/output",
            placement=placement,
            nodes={"ImageExampleGen": {"retries": 2}},
        )
        values = {key: os.environ[variable] for key, variable in SECRET.items()}
        project.backend.secrets = {"object-store": values}
        yield project


@pytest.fixture(scope="module")
def first_run(project: Project) -> tuple[Run, dict[str, Any]]:
    return project.run()


def failures(project: Project, run: Run) -> str:
    """Returns what failed tasks have printed last."""
    return "\n".join(
        f"{name}: {task.reason}\n{project.backend.logs(run, name)[-3000:]}"
        for name, task in run.tasks.items()
        if task.state == FAILED
    )


def versions(project: Project) -> list[str]:
    names = open_store(project.output).child("serving", "classifier").names()
    return [name for name in names if name.isdecimal()]


def test_the_sdk_loads_the_package(project: Project) -> None:
    text = project.file.read_text(encoding="utf-8")
    loaded = kfp_components.load_component_from_text(text)
    assert loaded.pipeline_spec == project.package.spec
    assert {"data", "epochs"} <= set(loaded.component_spec.inputs)


def test_a_run_pushes_a_model(project: Project, first_run: tuple[Run, dict[str, Any]]) -> None:
    run, summary = first_run
    assert run.state == SUCCEEDED, failures(project, run)
    assert {task.state for task in run.tasks.values()} == {SUCCEEDED}, failures(project, run)
    assert versions(project) == ["1"]
    assert summary["verdict"] == "pushed"
    assert summary["baseline"] is None
    assert "pushed" in project.page(summary)
    assert f'href="runs/{summary["run_id"]}/report.html"' in project.index
    assert f"classifier version 1, by run {summary['run_id']}" in project.index


@pytest.mark.usefixtures("first_run")
def test_the_next_run_finds_it_and_a_worse_candidate_is_refused(project: Project) -> None:
    run, summary = project.run(epochs="1", gate_1_log_loss_max=0.0001)
    assert run.state == SUCCEEDED, failures(project, run)
    assert summary["verdict"] == "refused"
    assert summary["baseline"] is not None
    assert summary["baseline_version"] == 1
    assert "log_loss" in project.page(summary)
    assert [rule["metric"] for rule in summary["rules"] if not rule["passed"]] == ["log_loss"]
    assert versions(project) == ["1"]


@pytest.mark.usefixtures("first_run")
def test_a_run_that_has_nothing_to_learn_ends_before_it_trains(project: Project) -> None:
    run, summary = project.run()
    assert run.state == SUCCEEDED, failures(project, run)
    states = {name: run.tasks[name].state for name in ("RetrainCheck", "Transform", "Pusher")}
    assert states == {"RetrainCheck": SUCCEEDED, "Transform": SKIPPED, "Pusher": OMITTED}
    assert summary["verdict"] == "unchanged"
    assert summary["error"] is None
    assert summary["retrain"]["retrain"] is False
    assert versions(project) == ["1"]


def test_a_failed_task_is_tried_again_and_the_exit_task_tells_why(project: Project) -> None:
    run, summary = project.run(data=f"{project.data}/nowhere")
    assert run.state == FAILED
    tasks = dict(run.tasks)
    assert len(tasks["ImageExampleGen"].exit_codes) == 3
    assert tasks[EXIT_TASK].state == SUCCEEDED, failures(project, run)
    assert {tasks[name].state for name in ("StatisticsGen", "Trainer", "Pusher")} == {OMITTED}
    assert summary["verdict"] == "failed"
    assert "nowhere" in summary["error"]["message"]
    assert "nowhere" in project.page(summary)
    assert summary["run_id"] in project.index


@pytest.mark.usefixtures("first_run")
def test_a_new_class_ends_a_run_until_it_is_let_in(project: Project, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "more", {"cat": 12, "dog": 12, "emu": 12}, first_seed=100)
    bucket = open_store(project.output.rpartition("/")[0])
    bucket.put(tmp_path / "more", "more")
    run, summary = project.run(data=f"{bucket.address}/more")
    assert (run.state, run.tasks["DataCheck"].state) == (FAILED, FAILED)
    assert "never seen before: 'emu'" in summary["error"]["message"]

    shown = CliRunner().invoke(cli.app, ["schema", "diff", "--output", project.output])
    assert "never seen before: 'emu'" in shown.stdout
    let_in = CliRunner().invoke(cli.app, ["schema", "accept", "--output", project.output])
    assert let_in.exit_code == 0, let_in.output
    schema = open_store(project.output).child("schema").read_text("classifier.pbtxt")
    assert schema is not None
    assert 'value: "emu"' in schema
    again, summary = project.run(data=f"{bucket.address}/more")
    assert again.tasks["DataCheck"].state == SUCCEEDED, failures(project, again)
    assert summary["verdict"] in ("pushed", "refused")
