import json
import shlex

import pytest

from components.run_report.parts import DataPart
from components.store import open_store
from pipeline.lock import hold
from pipeline.run_facts import LOST, run_report
from pipeline.run_files import RunFiles, lock_holder
from pipeline.summary import Failure, Outcome


@pytest.fixture
def report_of(output):
    return lambda run: run_report(RunFiles(open_store(str(output.root)), run.id), refresh=3)


def test_a_finished_run_tells_what_came_of_it_and_what_to_do(output, left_run, report_of):
    run = left_run(5, baseline_version=4, warnings=("few images",))
    part = left_run.leave_data(run)
    left_run.push(output.serving("classifier"), 5, run)

    report = report_of(run)

    assert (report.run_id, report.started) == (run.id, "2026-11-24 00:00 UTC")
    assert (report.summary.verdict, report.summary.warnings) == ("pushed", ("few images",))
    assert "rollback" in report.next
    assert report.data == part
    assert (report.seed, report.refresh) == (0, None)
    assert report.lineage == (
        ("Data", "/images"),
        ("Run", run.id),
        ("Served before", "version 4"),
        ("Pushed to", str(output.serving("classifier") / "5")),
        ("Serving when this was written", f"classifier version 5, by run {run.id}"),
    )
    assert [link.href for link in report.links] == ["../../index.html"]


def test_the_command_repeats_a_run_with_the_span_that_it_took(output, left_run, report_of):
    run = left_run(5, data="/my images/{SPAN}")
    left_run.leave_data(run, span="2026-11-23")

    (command,) = report_of(run).commands

    assert shlex.split(command) == [
        *("effnet", "run", "--data", "/my images/{SPAN}", "--config", str(run.config)),
        *("--output", str(output.root), "--set", "data.span='2026-11-23'"),
    ]


def test_a_run_of_a_cluster_is_repeated_there(left_run, report_of):
    run = left_run(5, kubeflow_run="7a6f")
    assert report_of(run).commands == (f"effnet submit --config {run.config}",)


def test_nodes_that_did_not_finish_have_failed_or_were_never_reached(left_run, report_of):
    error = {"kind": "fault", "message": "killed"}
    run = left_run(5, "failed", error=error, seconds={"Trainer": 3.5, "total": 9.0})

    report = report_of(run)

    states = [(node.name, node.state, node.seconds) for node in report.nodes]
    assert states == [("Trainer", "failed", 3.5), ("Pusher", "skipped", None)]
    assert report.summary.error.message == "killed"
    assert str(run.log) in report.next


def test_a_run_that_goes_on_tells_how_far_it_has_come(output, left_run, report_of):
    run = left_run.start(5)

    with hold(output.lock, lock_holder(run.id), 0, pytest.fail):
        report = report_of(run)

    assert (report.summary.verdict, report.next, report.refresh) == ("running", None, 3)
    assert [(node.name, node.state) for node in report.nodes] == [
        ("Trainer", "running"),
        ("Pusher", "waiting"),
    ]
    assert report.nodes[0].note == "head 2/8  val_accuracy 0.750"
    assert report.nodes[0].seconds > 0


def test_a_run_whose_command_was_killed_has_failed(left_run, report_of):
    report = report_of(left_run.start(5))
    assert (report.summary.verdict, report.summary.error.message) == ("failed", LOST)
    assert [node.state for node in report.nodes] == ["failed", "skipped"]
    assert report.refresh is None


def test_another_command_in_the_output_keeps_no_killed_run_alive(output, left_run, report_of):
    run = left_run.start(5)
    with hold(output.lock, lock_holder(left_run.id(6)), 0, pytest.fail):
        assert report_of(run).summary.verdict == "failed"


def test_a_killed_command_leaves_the_word_of_its_child(left_run, report_of):
    run = left_run.start(5)
    Outcome(verdict="refused", metrics={"accuracy": 0.4}).write(run)
    report = report_of(run)
    assert (report.summary.verdict, report.summary.metrics["accuracy"]) == ("refused", 0.4)


def test_files_that_are_damaged_count_as_missing(left_run, report_of):
    run = left_run.start(5)
    (run.path / "report").mkdir()
    (run.path / "report" / "data.json").write_bytes(b'{"layout": "fol')
    run.summary.write_bytes(b"\xff\x00")
    run.config.write_text("a: [")
    run.events.write_bytes(b'\xff{"event": "plan"\n[1]\n')

    report = report_of(run)

    assert (report.data, report.seed, report.nodes, report.commands) == (None, None, (), ())


def test_drift_is_against_the_newest_earlier_run_that_left_its_data(left_run, report_of):
    left_run.leave_data(left_run(1), images=1)
    left_run.leave_data(left_run(2), images=2)
    left_run(3, "failed", error=Failure(kind="input", message="no images"))
    run = left_run(4)
    left_run.leave_data(run)
    left_run.leave_data(left_run(5), images=5)

    before = report_of(run).before

    assert before.run_id == left_run.id(2)
    assert before.data == DataPart(layout="folders", images={"train": {"cat": 2}})


def test_another_models_data_is_no_measure_of_drift(left_run, report_of):
    other = left_run(1)
    left_run.leave_data(other)
    other.config.write_text("serving: {model_name: another}")
    run = left_run(2)
    left_run.leave_data(run)
    assert report_of(run).before is None


def test_secrets_reach_no_page(left_run, report_of):
    secret, address = "hunter2", "s3://ann:hunter2@bucket/images"
    run = left_run(
        5,
        "failed",
        data=address,
        error=Failure(kind="input", message=f"'{address}' can't be used"),
        warnings=(f"slow: https://hook/{address}",),
    )
    keys = ["AWS_SECRET_ACCESS_KEY: hunter2", 'TLS_KEY: "first line', "", "  hunter2", '  last"']
    lines = ["kubeflow:", "  env:", *(f"    {key}" if key else "" for key in keys)]
    run.config.write_text("\n".join([*lines, "    REGION: north", f"data: {address}", ""]))

    report = report_of(run)

    assert secret not in report.model_dump_json()
    assert (
        "    AWS_SECRET_ACCESS_KEY: '***'\n    TLS_KEY: '***'\n    REGION: north" in report.config
    )
    assert "ann:***@bucket" in report.config
    assert "ann:***@bucket" in report.summary.error.message


def test_tasks_of_a_cluster_are_its_nodes(left_run, report_of):
    run = left_run(5, kubeflow_run="7a6f")
    (run.path / "nodes").mkdir()
    record = {"node": "Trainer", "state": "done", "started": 1.0, "seconds": 7.5}
    (run.path / "nodes" / "Trainer.json").write_text(json.dumps(record))
    (node,) = report_of(run).nodes
    assert (node.name, node.state, node.seconds) == ("Trainer", "done", 7.5)


def test_a_run_on_a_cluster_without_a_summary_may_go_on_for_a_week(left_run, report_of, output):
    run = left_run.start(5)
    (run.path / "nodes").mkdir()
    recent = output.run("29991231-000000-ab12")
    run.path.rename(recent.path)
    assert report_of(recent).summary.verdict == "running"
    recent.path.rename(output.run("20200101-000000-ab12").path)
    assert report_of(output.run("20200101-000000-ab12")).summary.verdict == "failed"
