import pytest
from typer.testing import CliRunner

from components.store import open_store
from pipeline import cli
from pipeline.lock import hold
from pipeline.run_files import lock_holder


@pytest.fixture
def report(output):
    where = ["report", "--output", str(output.root)]
    return lambda *options: CliRunner().invoke(cli.app, [*where, *options])


def test_reports_that_are_missing_are_made(output, left_run, report):
    old, new = left_run(1), left_run(2)
    new.report.write_text("as it was")

    done = report()

    assert done.exit_code == 0, done.output
    assert old.id in old.report.read_text()
    assert new.report.read_text() == "as it was"
    index = output.index.read_text()
    assert all(f'href="runs/{run.id}/report.html"' in index for run in (old, new))
    assert str(output.index) in done.output.replace("\n", "")


def test_an_output_may_be_in_a_bucket(address, output, left_run):
    left_run.push(output.serving("classifier"), 2, left_run(2))
    left_run.leave_data(left_run(3, "refused", kubeflow_run="7a6f"))
    place, _, name = address.rpartition("/")
    open_store(place).put(output.root, name)

    done = CliRunner().invoke(cli.app, ["report", "--output", address])

    assert done.exit_code == 0, done.output
    left, ids = open_store(address), [left_run.id(2), left_run.id(3)]
    pages = [left.read_text(f"runs/{run_id}/report.html") for run_id in ids]
    assert all(run_id in page for run_id, page in zip(ids, pages, strict=True))
    index = left.read_text("index.html")
    assert all(f'href="runs/{run_id}/report.html"' in index for run_id in ids)


def test_the_report_of_one_run_is_made_anew(left_run, report):
    old, new = left_run(1), left_run(2)
    new.report.write_text("as it was")
    assert report("--run", new.id).exit_code == 0
    assert new.id in new.report.read_text()
    assert not old.report.exists()


def test_a_run_that_goes_on_gets_its_page_at_its_end(output, left_run, report):
    run = left_run.start(1)
    with hold(output.lock, lock_holder(run.id), 0, pytest.fail):
        assert report().exit_code == 0
    assert not run.report.exists()
    assert "running" in output.index.read_text()
    assert report().exit_code == 0
    assert "killed" in run.report.read_text()


def test_a_damaged_run_does_not_keep_the_others_from_their_pages(output, left_run, report):
    whole, damaged = left_run(1), left_run(2)
    damaged.summary.write_text(damaged.summary.read_text().replace("60.0", "Infinity"))
    done = report()
    assert done.exit_code == 1
    assert f"no page of run {damaged.id}" in done.output
    assert whole.report.exists()
    assert whole.id in output.index.read_text()


@pytest.mark.parametrize("name", ["20261124-000009-ab12", "../1"])
def test_an_unknown_run_is_told_with_those_that_are_there(left_run, report, name):
    run = left_run(1)
    done = report("--run", name)
    assert done.exit_code == 2
    assert run.id in done.output


def test_an_output_that_is_not_there_is_bad_input(report):
    done = report()
    assert done.exit_code == 2
    assert "there is no output folder" in done.output
