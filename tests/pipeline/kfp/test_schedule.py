"""`effnet schedule`, by the command itself, Kubeflow's SDK and a real HTTP server."""

import functools
import json

import pytest
from typer.testing import CliRunner

from pipeline import cli
from tests.kubeflow_api import failure
from tests.pipeline.kfp.conftest import write_package

MONDAYS = ("--cron", "0 3 * * 1")


@pytest.fixture
def effnet(backend):
    invoke = functools.partial(CliRunner().invoke, cli.app)
    return lambda *options: invoke(["schedule", *options])


@pytest.fixture
def schedule(effnet, package):
    """Sets a schedule of the package."""
    return lambda *options: effnet("--package", str(package), *options)


def test_a_schedule_is_made_switched_off_and_then_switched_on(schedule, backend):
    result = schedule(*MONDAYS, "--param", "data=/new", "--service-account", "runner")

    assert result.exit_code == 0, result.stderr
    (body,) = backend.bodies("/recurringruns")
    assert body["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * 1"}}
    assert (body["max_concurrency"], body["no_catchup"]) == (1, True)
    assert (body["mode"], body["display_name"]) == ("DISABLE", "classifier")
    assert body["runtime_config"]["parameters"] == {"data": "/new"}
    assert body["service_account"] == "runner"
    assert body["pipeline_spec"]["pipeline_spec"]["pipelineInfo"]["name"] == "effnet-test"
    assert backend.calls() == [
        "POST /experiments",
        "POST /recurringruns",
        "POST /recurringruns/recurring-1:enable",
    ]
    assert backend.enabled == ["recurring-1"]
    assert "it is new" in result.stdout
    assert "UTC unless its administrator has set CRON_SCHEDULE_TIMEZONE" in result.stdout
    assert "next by UTC: Monday " in result.stdout


def test_the_same_again_changes_nothing(schedule, backend):
    schedule(*MONDAYS)
    before = len(backend.asked)

    result = schedule(*MONDAYS)

    assert "is as it was" in result.stdout
    assert backend.calls(before) == []


def test_a_schedule_takes_the_place_of_the_former_one(effnet, schedule, backend, tmp_path):
    schedule(*MONDAYS, "--param", "gate_1_accuracy_min=0.85")
    before = len(backend.asked)
    newer = write_package(tmp_path / "new.yaml", str(tmp_path / "output"), "registry/effnet:2")

    result = effnet("--cron", "30 4 * * 7", "--package", str(newer), "--param", "data=/new")

    assert result.exit_code == 0, result.stderr
    told = [line.strip() for line in result.stdout.splitlines() if line.startswith("  ")]
    assert told == [
        "cron: 0 3 * * 1 -> 30 4 * * 0",
        "image: registry/effnet:1 -> registry/effnet:2",
        "data: /data -> /new",
        "gate_1_accuracy_min: 0.85 -> 0.8",
    ]
    # In this order there are never two that start runs.
    assert backend.calls(before) == [
        "POST /recurringruns",
        "POST /recurringruns/recurring-1:disable",
        "POST /recurringruns/recurring-2:enable",
        "DELETE /recurringruns/recurring-1",
    ]
    assert [row["recurring_run_id"] for row in backend.schedules] == backend.enabled


@pytest.mark.parametrize("is_done", [True, False])
def test_a_failure_half_way_leaves_the_former_one_on(schedule, backend, is_done):
    schedule(*MONDAYS)
    refusal = failure(403, "not yours")
    backend.trouble.append(("recurring-2:enable", is_done, refusal))

    result = schedule("--cron", "0 4 * * 1")

    assert result.exit_code == 2
    assert "not yours" in result.stderr
    assert backend.enabled == ["recurring-1"]
    assert len(backend.schedules) == 1


def test_if_even_going_back_fails_that_is_told_and_mended_by_the_next_call(schedule, backend):
    schedule(*MONDAYS)
    backend.trouble += [("recurring-2:enable", False, failure(403, "not yours"))]
    backend.trouble += [("recurring-1:enable", False, failure(403, "nor this"))]

    result = schedule("--cron", "0 4 * * 1")

    assert result.exit_code == 2
    assert "perhaps none is on now" in result.stderr
    assert backend.enabled == []
    again = schedule(*MONDAYS)
    assert "nothing but that it was switched off" in again.stdout
    assert len(backend.enabled) == len(backend.schedules) == 1


@pytest.mark.parametrize("is_done", [True, False])
def test_an_answer_that_was_lost_makes_no_second_schedule(schedule, backend, is_done):
    backend.trouble.append(("POST .*/recurringruns$", is_done, failure(503, "reset")))
    assert schedule(*MONDAYS).exit_code == 0
    assert len(backend.schedules) == len(backend.enabled) == 1
    backend.trouble.append(("DELETE", is_done, failure(503, "reset")))
    assert schedule("--cron", "0 4 * * 1").exit_code == 0
    assert len(backend.schedules) == len(backend.enabled) == 1


def test_several_of_one_name_become_one(schedule, backend):
    schedule(*MONDAYS)
    twin = {**backend.schedules[0], "recurring_run_id": "by-hand"}
    backend.schedules.append(twin)
    backend.page_size = 1  # the API tells them page by page

    schedule(*MONDAYS)

    assert len(backend.schedules) == len(backend.enabled) == 1
    assert backend.enabled[0] not in ("by-hand", "recurring-1")


def run_of(schedule_id, state):
    return {
        "run_id": "r",
        "experiment_id": "experiment-0",
        "recurring_run_id": schedule_id,
        "state": state,
    }


def test_a_run_at_work_is_not_ended_with_its_schedule(effnet, schedule, backend):
    schedule(*MONDAYS)
    backend.runs.append(run_of("recurring-1", "RUNNING"))

    result = schedule("--cron", "0 4 * * 1")

    assert "is at work, and would end with it" in result.stdout
    assert backend.enabled == ["recurring-2"]
    assert len(backend.schedules) == 2
    backend.runs[0]["state"] = "SUCCEEDED"
    again = schedule("--cron", "0 4 * * 1")
    assert "is as it was" in again.stdout
    assert [row["recurring_run_id"] for row in backend.schedules] == ["recurring-2"]


def test_a_changed_pipeline_is_told_without_a_changed_image(effnet, schedule, backend, tmp_path):
    schedule(*MONDAYS)
    newer = write_package(tmp_path / "new.yaml", str(tmp_path / "output"), sdkVersion="tfx-1.22")

    result = effnet(*MONDAYS, "--package", str(newer), "--service-account", "runner")

    assert "service account: of Kubeflow's choice -> runner" in result.stdout
    result = effnet(*MONDAYS, "--package", str(newer), "--service-account", "runner")
    assert "is as it was" in result.stdout
    write_package(newer, str(tmp_path / "output"), sdkVersion="tfx-1.23")
    result = effnet(*MONDAYS, "--package", str(newer), "--service-account", "runner")
    assert "the pipeline itself" in result.stdout


def test_what_somebody_has_set_otherwise_is_set_right(schedule, backend):
    schedule(*MONDAYS)
    backend.schedules[0] |= {"max_concurrency": "10", "no_catchup": False}
    told = schedule(*MONDAYS, "--experiment", "other").stdout
    assert "runs at once: 10 -> 1" in told
    assert "missed runs: are made up for -> are not made up for" in told
    assert "experiment: another -> other" in told
    (left,) = backend.schedules
    assert left["experiment_id"] == backend.experiments[-1]["experiment_id"]
    assert "is as it was" in schedule(*MONDAYS, "--experiment", "other").stdout


def test_a_schedule_of_an_uploaded_pipeline_is_replaced(schedule, backend):
    schedule(*MONDAYS)
    backend.schedules[0]["pipeline_spec"] = None
    backend.schedules[0]["pipeline_version_reference"] = {"pipeline_id": "p"}
    assert "which was uploaded otherwise" in schedule(*MONDAYS).stdout


def test_the_list_shows_what_starts_when(effnet, schedule, backend):
    schedule(*MONDAYS)
    schedule("--name", "weekly [b]", "--cron", "0 4 * * 0", "--param", "data=/new")
    backend.schedules[0]["status"] = "DISABLED"

    rows = effnet("list").stdout.splitlines()
    listed = json.loads(effnet("list", "--json").stdout)

    assert "weekly [b]" in rows[1]
    assert "0 4 * * 0" in rows[1]
    assert ("registry/effnet:1" in rows[1], "enabled" in rows[1]) == (True, True)
    assert "disabled" in rows[2]
    assert listed[0]["parameters"] == {"data": "/new"}
    assert [row["cron"] for row in listed] == ["0 4 * * 0", "0 3 * * 1"]


def test_deleting_switches_off_first_and_spares_a_run_at_work(effnet, schedule, backend):
    schedule(*MONDAYS)
    before = len(backend.asked)

    result = effnet("delete", "classifier")

    assert result.exit_code == 0
    assert backend.calls(before) == [
        "POST /recurringruns/recurring-1:disable",
        "DELETE /recurringruns/recurring-1",
    ]
    schedule(*MONDAYS)
    backend.runs.append(run_of(backend.enabled[0], "PENDING"))
    assert "is at work" in effnet("delete", "classifier").stdout
    assert (backend.enabled, len(backend.schedules)) == ([], 1)


def test_a_schedule_that_is_not_there_is_told(effnet, schedule, backend):
    assert "there are no schedules" in effnet("delete", "classifier").stderr
    schedule(*MONDAYS)
    result = effnet("delete", "clasifier")
    assert result.exit_code == 2
    assert "did you mean 'classifier'" in result.stderr
    assert len(backend.schedules) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "--cron is missing"),
        (("--cron", "0 3 * *"), "takes five fields"),
        ((*MONDAYS, "--param", "dat=/x"), "did you mean 'data'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_made(schedule, backend, options, told):
    result = schedule(*options)
    assert result.exit_code == 2
    assert told in result.stderr
    assert backend.calls() == []


def test_an_expired_token_changes_nothing(schedule, backend, monkeypatch):
    schedule(*MONDAYS)
    backend.token = "fresh"
    monkeypatch.setenv("EFFNET_KUBEFLOW_TOKEN", "verysecret")
    result = schedule("--cron", "0 4 * * 1")
    assert result.exit_code == 2
    assert "has expired" in result.stderr
    assert "verysecret" not in result.stdout + result.stderr
    assert len(backend.enabled) == 1
