"""What a webhook is told, by a real one on the loopback interface."""

import logging
import threading

import pytest
from typer.testing import CliRunner

from components.errors import ConfigError
from pipeline import cli, notify
from pipeline.config import PipelineConfig
from pipeline.launch import Request, launch
from pipeline.notify_config import WEBHOOK_VARIABLE, NotifyConfig
from pipeline.summary import Outcome, Summary
from tests.http_server import serving

RUN = "20261124-042535-ab12"
SECRET = "/services/T0/B0/verysecret"
REFUSED = {
    "metrics": {"accuracy": 0.8, "examples": 100.0},
    "rules": [
        {"metric": "accuracy", "value": 0.8, "bound": ">= 0.85", "passed": False},
        {"metric": "recall", "slice": "label=<!channel>", "bound": ">= 0.5", "passed": False,
         "reason": "no image"},
        {"metric": "auc", "value": 0.99, "bound": ">= 0.5", "passed": True},
    ],
    "comparison": {"images": 100, "left_out": 0, "candidate": 0.8, "baseline": 0.82,
                   "difference": -0.02, "interval": [-0.05, 0.01], "only_candidate": 1,
                   "only_baseline": 3, "p_value": 0.6},
}  # fmt: skip


def summary_of(verdict, **facts):
    outcome = Outcome.model_validate({"verdict": verdict, **facts})
    return Summary.of(outcome, run_id=RUN, data="/data", seconds={"total": 1.0})


def config_of(**settings):
    return PipelineConfig.parse({"notify": {"enabled": True, **settings}})


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(notify, "_PAUSE_SECONDS", 0)


@pytest.fixture
def webhook(monkeypatch):
    """Serves answers in turn, the last one for ever; returns what was posted."""

    def start(*statuses):
        left = list(statuses)
        server = serving(lambda _: (left.pop(0) if len(left) > 1 else left[0], {}))
        address, asked = server.__enter__()
        servers.append(server)
        monkeypatch.setenv(WEBHOOK_VARIABLE, address + SECRET)
        return asked

    servers = []
    yield start
    for server in servers:
        server.__exit__(None, None, None)


def test_a_refusal_is_told_with_accuracy_interval_and_reasons(webhook):
    asked = webhook(200)

    told = notify.tell(
        config_of(link="https://kf.example/#/runs/details/{run}"), summary_of("refused", **REFUSED)
    )

    assert told.warnings == ()
    (request,) = asked
    assert (request.method, request.path) == ("POST", SECRET)
    body = request.body
    assert (body["run_id"], body["verdict"], body["model"]) == (RUN, "refused", "classifier")
    assert body["accuracy"]["value"] == 0.8
    assert body["accuracy"]["interval"] == pytest.approx([0.7112, 0.8666], abs=1e-3)
    assert body["difference"] == {"value": -0.02, "interval": [-0.05, 0.01]}
    assert body["reasons"] == [
        "accuracy of all: 0.8000, bound >= 0.85",
        "recall of label=<!channel>: no value, bound >= 0.5 (no image)",
    ]
    assert body["link"] == f"https://kf.example/#/runs/details/{RUN}"
    assert body["error"] is None
    assert body["text"].startswith("classifier: refused, run 2026")
    assert "accuracy 0.8000 [0.7112, 0.8666]" in body["text"]
    assert "label=&lt;!channel&gt;" in body["text"], "no mark-up from class names"
    assert body["text"].endswith(f"\nhttps://kf.example/#/runs/details/{RUN}")


def test_the_link_leads_to_the_run_on_the_cluster(webhook):
    asked = webhook(200)
    summary = summary_of("pushed").model_copy(update={"kubeflow_run": "uuid-1"})

    notify.tell(config_of(link="https://kf.example/{run}"), summary)

    assert asked[0].body["link"] == "https://kf.example/uuid-1"
    assert asked[0].body["accuracy"] is None


@pytest.mark.parametrize("verdict", ["pushed", "unchanged", "failed"])
def test_what_is_no_refusal_has_no_reasons(webhook, verdict):
    asked = webhook(200)
    error = {"kind": "fault", "message": "x" * 5000} if verdict == "failed" else None

    notify.tell(config_of(), summary_of(verdict, error=error, rules=REFUSED["rules"]))

    assert asked[0].body["reasons"] == []
    assert (asked[0].body["error"] is None) == (verdict != "failed")
    assert len(asked[0].body["text"]) < 2000


def test_an_unavailable_webhook_is_tried_again(webhook):
    asked = webhook(503, 429, 200)

    told = notify.tell(config_of(), summary_of("pushed"))

    assert [request.body["verdict"] for request in asked] == ["pushed"] * 3
    assert told.warnings == ()


@pytest.mark.parametrize(
    ("status", "attempts", "problem"),
    [(500, 3, "it answers 500"), (404, 1, "it answered 404"), (302, 1, "it answered 302")],
)
def test_what_a_webhook_does_not_take_becomes_a_warning(webhook, caplog, status, attempts, problem):
    caplog.set_level(logging.DEBUG)
    asked = webhook(status)

    told = notify.tell(config_of(attempts=3), summary_of("pushed"))

    assert len(asked) == attempts
    assert told.exit_status == 0
    assert problem in told.warnings[0]
    assert "verysecret" not in caplog.text + told.to_json()


def test_a_webhook_that_does_not_answer_is_given_up(monkeypatch):
    release = threading.Event()

    def hang(_):
        release.wait(20)
        return 200, {}

    with serving(hang) as (address, asked):
        monkeypatch.setenv(WEBHOOK_VARIABLE, address)
        told = notify.tell(config_of(attempts=2, timeout_seconds=0.1), summary_of("refused"))
        release.set()

    assert "it can't be reached (ReadTimeout)" in told.warnings[0]
    assert len(asked) == 2
    monkeypatch.setenv(WEBHOOK_VARIABLE, address)  # nobody listens there any more
    gone = notify.tell(config_of(attempts=1), summary_of("refused"))
    assert "it can't be reached (ConnectError)" in gone.warnings[0]


def test_without_the_setting_nobody_is_told(webhook):
    asked = webhook(200)

    assert notify.tell(PipelineConfig(), summary_of("pushed")).warnings == ()
    assert asked == []


@pytest.mark.parametrize(("address", "problem"), [
    (None, "is not set"), ("", "is not set"), ("hooks.example.org/x", "holds no such address"),
    ("http://[x", "holds no such address"),
])  # fmt: skip
def test_a_missing_address_is_told_before_the_run_and_never_repeated(monkeypatch, address, problem):
    monkeypatch.delenv(WEBHOOK_VARIABLE, raising=False)
    if address is not None:
        monkeypatch.setenv(WEBHOOK_VARIABLE, address)

    with pytest.raises(ConfigError, match=problem) as error:
        NotifyConfig(enabled=True).address()

    assert "hooks.example" not in str(error.value)
    assert problem in notify.tell(config_of(), summary_of("pushed")).warnings[0]


def test_a_placeholder_that_is_unknown_is_refused():
    with pytest.raises(ConfigError, match=r"notify.link: the only placeholder is \{run\}"):
        config_of(link="https://kf.example/{id}")


@pytest.mark.parametrize(("scenario", "status"), [("pushed", 0), ("refused", 3), ("killed", 1)])
def test_a_run_on_this_machine_is_told_and_ends_as_it_would(
    webhook, output, recorder, stand_in, scenario, status
):
    asked = webhook(404)

    summary = launch(Request(config_of(), "/data", output, wait=0), recorder, stand_in(scenario))

    assert summary.exit_status == status
    (request,) = asked
    assert request.body["run_id"] == summary.run_id
    (run,) = output.all_runs()
    assert "it answered 404" in Summary.model_validate_json(run.summary.read_text()).warnings[-1]
    assert "it answered 404" in recorder.notes[-1]
    assert all("verysecret" not in file.read_text() for file in run.path.iterdir())


def test_input_that_keeps_a_run_from_starting_is_told(webhook, output, tmp_path):
    asked = webhook(200)
    where = ["--data", str(tmp_path / "nowhere"), "--output", str(output.root)]

    result = CliRunner().invoke(cli.app, ["run", *where, "--set", "notify.enabled=true"])

    assert result.exit_code == 2
    (request,) = asked
    assert (request.body["verdict"], request.body["run_id"]) == ("failed", None)
    assert "nowhere" in request.body["error"]
