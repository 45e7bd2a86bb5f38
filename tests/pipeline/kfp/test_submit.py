"""`effnet submit`, by the command itself, Kubeflow's SDK and a real HTTP server."""

import functools
import json
import re

import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.kfp import client, submit
from pipeline.kfp.parameters import id_suffix
from pipeline.layout import Output
from pipeline.summary import Outcome, Summary
from tests.kubeflow_api import failure
from tests.pipeline.kfp.conftest import write_package

RUN = "run-1"  # the experiment has the id 0


@pytest.fixture
def effnet(backend, package):
    invoke = functools.partial(CliRunner().invoke, cli.app)
    return lambda *options: invoke(["submit", "--package", str(package), *options])


@pytest.fixture
def leave_summary(tmp_path):
    """Leaves the summary that the run's last task writes."""

    def do(verdict, kubeflow_run=RUN, **facts):
        output = Output.at(tmp_path / "output")
        run = output.run(f"20261124-040000-{id_suffix(RUN)}")
        run.path.mkdir(parents=True)
        outcome = Outcome.model_validate({"verdict": verdict, **facts})
        facts = {"data": "/d", "seconds": {"total": 9.0}, "kubeflow_run": kubeflow_run}
        run.summary.write_text(Summary.of(outcome, run_id=run.id, **facts).to_json())

    return do


def test_a_run_is_started_in_an_experiment_that_is_made_for_it(effnet, backend):
    backend.token = None
    result = effnet("--param", "data=/new", "--service-account", "runner", "--json")

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {
        "kubeflow_run": RUN,
        "link": f"{backend.endpoint}/#/runs/details/{RUN}",
    }
    assert [row["display_name"] for row in backend.experiments] == ["effnet"]
    (body,) = backend.bodies("/runs")
    assert body["experiment_id"] == "experiment-0"
    assert re.fullmatch(r"classifier \d{8}-\d{6}-[0-9a-f]{4}", body["display_name"])
    assert body["service_account"] == "runner"
    assert body["runtime_config"]["parameters"] == {"data": "/new"}
    sent = body["pipeline_spec"]
    assert sent["pipeline_spec"]["pipelineInfo"]["name"] == "effnet-test"
    assert "kubernetes" in sent["platform_spec"]["platforms"]
    tasks = sent["pipeline_spec"]["root"]["dag"]["tasks"].values()
    assert all("cachingOptions" not in task for task in tasks), "as the package has it"


def test_without_a_package_the_pipeline_is_compiled(backend, tmp_path):
    settings = {
        "kubeflow.image": "registry/effnet:1",
        "kubeflow.pipeline_root": "minio://bucket/artifacts",
        "kubeflow.data": "/mnt/images",
        "kubeflow.output": str(tmp_path / "output"),
        "serving.model_name": "hats",
    }
    sets = [f"--set={key}={value}" for key, value in settings.items()]

    result = CliRunner().invoke(cli.app, ["submit", *sets, "--param", "span=3", "--wait"])

    assert result.exit_code == 0, result.stderr
    (body,) = backend.bodies("/runs")
    assert body["display_name"].startswith("hats 2")
    assert body["runtime_config"]["parameters"] == {"span": "3"}
    executors = body["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"]
    commands = {tuple(each["container"]["command"][-2:]) for each in executors.values()}
    assert commands == {("-m", "pipeline.kfp.entrypoint"), ("-m", "pipeline.kfp.finish")}
    assert f"'{tmp_path / 'output'}' is empty, or not there" in result.stdout
    missing = CliRunner().invoke(cli.app, ["submit", *sets[1:]])
    assert missing.exit_code == 2
    assert "kubeflow.image: the image that all tasks run in" in missing.stderr


def test_an_experiment_that_is_there_is_taken(effnet, backend):
    assert effnet("--experiment", "mine", "--name", "nightly").exit_code == 0
    assert effnet("--experiment", "mine").exit_code == 0
    assert [row["display_name"] for row in backend.experiments] == ["mine"]
    assert backend.runs[0]["display_name"].startswith("nightly 2")


def test_a_user_of_a_shared_kubeflow_has_a_namespace(effnet, backend):
    backend.multi_user = True
    assert effnet("--namespace", "team-a").exit_code == 0
    assert backend.experiments[0]["namespace"] == "team-a"


@pytest.mark.parametrize("is_done", [True, False])
def test_an_outage_starts_no_second_run(effnet, backend, is_done):
    backend.trouble.append(("POST .*/runs", is_done, failure(503, "upstream reset")))
    assert effnet().exit_code == 0
    assert len(backend.runs) == 1


def test_an_expired_token_is_told_and_not_shown(effnet, backend, monkeypatch):
    backend.token = "fresh"
    monkeypatch.setenv(client.TOKEN_VARIABLE, "verysecret")

    result = effnet("--json")

    assert result.exit_code == 2
    assert "has expired" in json.loads(result.stdout)["error"]["message"]
    assert "verysecret" not in result.stdout + result.stderr
    assert backend.runs == []


def test_an_outage_that_lasts_is_a_fault(effnet, backend):
    backend.trouble += [("healthz", False, failure(503, "no backend"))] * 20
    result = effnet()
    assert result.exit_code == 1
    assert "unavailable (503): no backend" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_parameter_is_told_before_anything_is_made(effnet, backend):
    result = effnet("--param", "dat=/x")
    assert result.exit_code == 2
    assert "did you mean 'data'" in result.stderr
    assert backend.calls() == []


@pytest.mark.parametrize(
    ("verdict", "status", "facts"),
    [
        ("pushed", 0, {"pushed_path": "/serving/classifier/2"}),
        ("unchanged", 0, {}),
        ("refused", 3, {"withheld": "pushing is on hold"}),
        ("failed", 2, {"error": {"kind": "input", "message": "no images"}}),
        ("failed", 1, {"error": {"kind": "fault", "message": "Trainer: killed"}}),
    ],
)
def test_waiting_ends_with_the_verdict_of_the_summary(
    effnet, backend, leave_summary, verdict, status, facts
):
    backend.states = ["PENDING", "RUNNING", "RUNNING", "FAILED" if status < 3 else "SUCCEEDED"]
    leave_summary(verdict, **facts)

    result = effnet("--wait", "--json")

    assert result.exit_code == status
    told = json.loads(result.stdout)
    assert (told["verdict"], told["kubeflow_run"]) == (verdict, RUN)
    assert result.stderr.count("state running") == 1
    assert verdict in result.stderr
    # Its last task may have failed after its model went live.
    assert ("to Kubeflow the run is FAILED" in result.stderr) == (status == 0)
    if verdict == "failed" and status == 1:
        assert f"logs of its tasks in Kubeflow, run {RUN}" in result.stderr


def test_without_a_summary_kubeflows_own_word_is_told(effnet, backend, leave_summary):
    backend.states = ["RUNNING", "FAILED"]
    backend.details = {
        "error": {"code": 13, "message": "pod was evicted"},
        "run_details": {
            "task_details": [
                {"display_name": "Trainer", "state": "FAILED"},
                {"display_name": "Transform", "state": "SUCCEEDED"},
            ]
        },
    }
    leave_summary("pushed", kubeflow_run="that of another run")

    result = effnet("--wait", "--json")

    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["verdict"], told["state"]) == ("failed", "FAILED")
    message = "the run failed on the cluster; tasks Trainer; pod was evicted"
    assert told["error"] == {"kind": "fault", "message": message}


@pytest.mark.parametrize(
    ("state", "status", "verdict"), [("SUCCEEDED", 0, None), ("CANCELED", 1, "failed"),
                                     ("SKIPPED", 1, "failed")]
)  # fmt: skip
def test_an_output_that_is_not_here_is_told_before_waiting(effnet, backend, state, status, verdict):
    backend.states = [state]

    result = effnet("--wait", "--json")

    assert result.exit_code == status
    assert json.loads(result.stdout)["verdict"] == verdict
    warning, state_line = "only Kubeflow's own word", f"state {state.lower()}"
    assert result.stderr.index(warning) < result.stderr.index(state_line)


def test_the_summary_counts_of_an_output_that_was_empty_at_the_start(
    effnet, backend, leave_summary, monkeypatch
):
    """As that of a first run is."""
    backend.states = ["SUCCEEDED"]
    ended = submit.wait

    def waited(*arguments):
        run = ended(*arguments)
        leave_summary("refused")
        return run

    monkeypatch.setattr(submit, "wait", waited)
    result = effnet("--wait", "--json")

    assert result.exit_code == 3
    assert json.loads(result.stdout)["verdict"] == "refused"


def test_what_a_package_would_not_heed_is_refused(effnet, backend):
    result = effnet("--set", "trainer.backbone=efficientnet-b1")
    assert result.exit_code == 2
    assert "--package is compiled already" in result.stderr
    assert backend.calls() == []


def test_waiting_outlasts_an_outage(effnet, backend, leave_summary, monkeypatch):
    leave_summary("pushed")
    backend.states = ["RUNNING", "SUCCEEDED"]
    backend.trouble += [(f"GET .*/runs/{RUN}", False, failure(503, "restarting"))] * 7

    result = effnet("--wait")

    assert result.exit_code == 0
    assert "the run goes on, and is asked for again" in result.stdout

    monkeypatch.setattr(submit, "_MAX_OUTAGES", 2)
    backend.trouble += [("GET .*/runs/run-2", False, failure(503, "gone"))] * 99
    result = effnet("--wait")
    assert result.exit_code == 1
    assert "The run itself goes on" in result.stderr


def test_a_token_that_expires_while_waiting_is_told(effnet, backend):
    backend.trouble.append((f"GET .*/runs/{RUN}", False, failure(401, "expired")))
    result = effnet("--wait")
    assert result.exit_code == 2
    assert "has expired" in result.stderr
    assert "The run itself goes on" in result.stderr


def test_artifacts_go_where_the_package_says(backend, tmp_path):
    """The backend reads it from the run, and passes over what the package has."""
    root = "minio://mlpipeline/effnet"
    file = write_package(tmp_path / "p.yaml", str(tmp_path / "output"), defaultPipelineRoot=root)
    result = CliRunner().invoke(cli.app, ["submit", "--package", str(file)])
    assert result.exit_code == 0, result.stderr
    (body,) = backend.bodies("/runs")
    assert body["runtime_config"]["pipeline_root"] == root
