"""The last task, by its own command line on what tasks have left in a folder."""

import json
import subprocess
import sys

import pytest

from components.store import StoreError
from pipeline.config import PipelineConfig
from pipeline.kfp import finish
from pipeline.kfp.parameters import Run
from pipeline.kfp.submit import read_summary
from pipeline.node_facts import NodeRecord
from pipeline.notify_config import WEBHOOK_VARIABLE
from pipeline.options import effective_config
from pipeline.summary import Failure, Images, Summary
from tests.http_server import serving

UUID = "7a6f3c8e-0000-4000-8000-000000000001"
CREATED = "2026-11-24T04:25:35Z"
DONE = {
    "ImageExampleGen": {"images": {"train": 7, "val": 1, "test": 2, "rejected": 3},
                        "official_splits": [], "grouped": 0},
    "StatisticsGen": {},
    "SchemaGen": {},
    "ServingBaseline": {"trained_splits": None},
    "ReferenceSchema": {},
    "ExampleValidator": {},
    "DataCheck": {},
    "Transform": {},
    "Trainer": {"backbone": "efficientnet-b1"},
    "Evaluator": {"rules": [{"metric": "accuracy", "value": 0.9, "passed": True}],
                  "metrics": {"accuracy": 0.9, "examples": 100.0}, "baseline": {"accuracy": 0.8}},
    "ServingValidator": {"serving": None},
    "Pusher": {"verdict": "pushed", "pushed_path": "/output/serving/classifier/2"},
}  # fmt: skip


@pytest.fixture
def values(tmp_path):
    """The task's parameters of a run that set another backbone."""
    config = PipelineConfig.parse({"notify": {"enabled": True, "attempts": 1}})
    return {
        "effnet_uuid": UUID,
        "effnet_created": CREATED,
        "effnet_output": str(tmp_path / "output"),
        "effnet_config": config.model_dump_json(by_alias=True),
        "effnet_data": "/images",
        "effnet_backbone": "efficientnet-b2",
    }


@pytest.fixture
def webhook(monkeypatch):
    with serving(lambda _: (200, {})) as (address, asked):
        monkeypatch.setenv(WEBHOOK_VARIABLE, address)
        yield asked


@pytest.fixture
def folder(values, tmp_path):
    return tmp_path / "output" / "runs" / Run.of(values).id


@pytest.fixture
def leave(folder):
    """Leaves the records of tasks, ten seconds each, as the entrypoint does."""

    def do(facts, **failed):
        (folder / "nodes").mkdir(parents=True)
        for number, (node, found) in enumerate(facts.items()):
            told = {"node": node, "state": "done", "started": 100.0 + 10 * number, "seconds": 9.5}
            told |= {"facts": found, **failed.get(node, {})}
            record = NodeRecord.model_validate(told)
            (folder / "nodes" / f"{node}.json").write_text(record.model_dump_json())

    return do


def until(node):
    """The records of the nodes before one."""
    names = list(DONE)
    return {name: DONE[name] for name in names[: names.index(node)]}


def test_a_finished_run_has_the_summary_of_a_local_one(
    values, leave, folder, webhook, tmp_path, capsys
):
    warned = {"event": "warning", "text": "3 images were set aside", "time": 101.0}
    leave(DONE, ImageExampleGen={"events": [warned, {"event": "epoch"}]})
    given = {"inputs": {"parameterValues": values}}

    finish.main(["--json_serialized_invocation_args", json.dumps(given)])

    summary = read_summary(str(tmp_path / "output"), UUID)
    assert summary is not None, "submit --wait finds it"
    assert summary == Summary.model_validate_json((folder / "summary.json").read_text())
    assert (summary.verdict, summary.exit_status) == ("pushed", 0)
    assert (summary.run_id, summary.kubeflow_run) == (folder.name, UUID)
    assert folder.name.startswith("20261124-042535-")
    assert summary.images == Images(train=7, val=1, test=2, rejected=3)
    assert (summary.backbone, summary.data) == ("efficientnet-b1", "/images")
    assert (summary.seconds["Trainer"], summary.seconds["total"]) == (9.5, 119.5)
    assert summary.warnings[0] == "3 images were set aside"
    assert "not recorded which images the model that serves has learnt from" in summary.warnings[1]
    (request,) = webhook
    assert (request.body["verdict"], request.body["run_id"]) == ("pushed", folder.name)
    assert f"report: {folder}/report.html\n" in capsys.readouterr().out
    page = (folder / "report.html").read_text()
    assert "3 images were set aside" in page
    assert "efficientnet-b1" in page
    index = (tmp_path / "output" / "index.html").read_text()
    assert f'href="runs/{folder.name}/report.html"' in index
    written = effective_config(folder / "config.yaml")
    assert (written.trainer.backbone, written.kubeflow.data) == ("efficientnet-b2", "/images")


def test_parameters_are_read_by_the_older_schema_as_well(values, leave, folder, webhook):
    leave(DONE)
    legacy = {name: {"stringValue": value} for name, value in values.items()}
    given = {"inputs": {"parameters": legacy}}

    finish.main(["--json_serialized_invocation_args", json.dumps(given)])

    assert (folder / "summary.json").is_file()


def test_a_task_that_failed_says_why(values, leave, folder, webhook):
    error = {"kind": "input", "message": "label 'x' is wrong"}
    counted = {"event": "images", "train": 5, "val": 1, "test": 1, "rejected": 0, "dropped": 0}
    failed = {"state": "failed", "error": error, "events": [counted]}
    leave({"ServingBaseline": {}, "ImageExampleGen": {}}, ImageExampleGen=failed)

    summary = finish.finish(values)

    assert (summary.verdict, summary.exit_status) == ("failed", 2)
    assert summary.error.message == "ImageExampleGen: label 'x' is wrong"
    assert summary.images.train == 5, "told before it failed"
    assert summary.backbone == "efficientnet-b2", "as the run was to train"
    assert "label &#39;x&#39; is wrong" in (folder / "report.html").read_text()
    assert webhook[0].body["error"] == "ImageExampleGen: label 'x' is wrong"


def test_a_gate_that_failed_has_found_nothing(values, leave, webhook):
    error = {"kind": "fault", "message": "out of memory"}
    facts = {**until("Evaluator"), "Evaluator": {}}
    leave(facts, Evaluator={"state": "failed", "error": error})

    summary = finish.finish(values)

    assert summary.verdict == "failed"
    assert summary.error == Failure(kind="fault", message="Evaluator: out of memory")


@pytest.mark.parametrize("node", ["ImageExampleGen", "Transform", "Pusher"])
def test_a_task_that_was_killed_is_named(values, leave, webhook, node):
    leave(until(node))

    summary = finish.finish(values)

    assert summary.exit_status == 1
    assert summary.error.message.startswith(f"{node} left no word of itself: its pod was killed")
    assert summary.verdict == "failed"


@pytest.mark.parametrize(
    ("left", "killed"),
    [
        (["ServingBaseline"], "ImageExampleGen"),
        (["ImageExampleGen", "ServingBaseline"], "StatisticsGen"),
    ],
)
def test_a_task_beside_the_killed_one_takes_no_blame_off_it(values, leave, webhook, left, killed):
    leave({node: DONE[node] for node in left})
    assert finish.finish(values).error.message.startswith(f"{killed} left no word of itself")


def test_a_record_that_was_torn_is_none(values, leave, folder, webhook):
    leave(until("Trainer"))
    (folder / "nodes" / "Trainer.json").write_text('{"node": "Trai')
    assert finish.finish(values).error.message.startswith("Trainer left no word")


def test_a_run_that_ended_early_with_a_verdict_did_not_fail(values, leave, webhook):
    leave({**until("Transform"), "DataCheck": {}, "Pusher": {"verdict": "unchanged"}})
    summary = finish.finish(values)
    assert (summary.verdict, summary.error, summary.exit_status) == ("unchanged", None, 0)


def test_a_webhook_that_takes_nothing_is_a_warning_of_the_summary(
    values, leave, folder, monkeypatch
):
    leave(DONE)
    monkeypatch.setenv(WEBHOOK_VARIABLE, "http://127.0.0.1:1/secret")

    summary = finish.finish(values)

    assert summary.exit_status == 0
    written = Summary.model_validate_json((folder / "summary.json").read_text())
    assert "can't be reached" in written.warnings[-1]
    assert "secret" not in written.to_json()


def test_a_page_that_cannot_be_made_hides_neither_summary_nor_webhook(
    values, leave, folder, webhook, capsys
):
    leave(DONE)
    (folder / "report.html").mkdir()

    assert finish.finish(values).verdict == "pushed"

    assert (folder / "summary.json").is_file()
    assert webhook[0].body["verdict"] == "pushed"
    assert "warning: the report could not be written" in capsys.readouterr().out


def test_an_output_that_cannot_be_used_is_told_all_the_same(values, leave, folder, webhook):
    leave(DONE)
    (folder / "summary.json").mkdir()

    with pytest.raises(StoreError):
        finish.finish(values)

    assert webhook[0].body["verdict"] == "failed"
    assert "summary.json" in webhook[0].body["error"]


def test_a_task_without_a_reason_has_failed_all_the_same(values, leave, webhook):
    leave({"ImageExampleGen": {}}, ImageExampleGen={"state": "failed"})
    expected = Failure(kind="fault", message="ImageExampleGen: it gave no reason")
    assert finish.finish(values).error == expected


def test_the_last_task_imports_no_heavy_library(environment):
    code = (
        "import sys; import pipeline.kfp.finish; "
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'kfp', 'scipy', 'matplotlib'}; "
        "print(heavy & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
