import pytest
from typer.testing import CliRunner

from pipeline import cli


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


def test_the_report_of_one_run_is_made_anew(left_run, report):
    old, new = left_run(1), left_run(2)
    new.report.write_text("as it was")
    assert report("--run", new.id).exit_code == 0
    assert new.id in new.report.read_text()
    assert not old.report.exists()


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
