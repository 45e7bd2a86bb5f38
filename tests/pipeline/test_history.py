import time

import pytest

from components.run_report.page import render_history
from components.store import open_store
from pipeline.history import MAX_ROWS, history
from pipeline.lock import hold
from pipeline.run_files import lock_holder
from pipeline.summary import Failure, Outcome


@pytest.fixture
def store(output):
    return open_store(str(output.root))


def test_runs_stand_with_the_newest_first(output, store, left_run):
    model_dir = output.serving("classifier")
    first, second = left_run(1), left_run(2, warnings=("few",))
    second.report.write_text("a page")
    for number, run in ((1, first), (2, second)):
        left_run.push(model_dir, number, run)
    rule = {"metric": "accuracy", "value": 0.5, "bound": ">= 0.8", "passed": False}
    left_run(3, "refused", rules=(rule,), metrics={})
    left_run(4, "failed", error=Failure(kind="input", message="no\nimages " + "x" * 999))
    left_run.start(5)

    found = history(store)

    killed, failed, refused, pushed, former = found.rows
    assert [row.verdict for row in found.rows] == [
        "failed",
        "failed",
        "refused",
        "pushed",
        "pushed",
    ]
    assert "killed" in killed.note
    assert failed.note.startswith("no images x")
    assert len(failed.note) <= 160
    assert refused.note == "accuracy of all: 0.5000, bound >= 0.8"
    assert (refused.accuracy, refused.interval, refused.version) == (None, None, None)
    assert (pushed.accuracy, pushed.seconds, pushed.warnings) == (0.9, 60.0, 1)
    assert pushed.interval == pytest.approx((0.8256, 0.9448), abs=1e-4), "Wilson's, of 90 in 100"
    assert (pushed.version, pushed.serving) == ("2", True)
    assert (former.version, former.serving) == ("1", False)
    assert pushed.link == f"runs/{second.id}/report.html"
    assert former.link is None, "no page, no link"
    assert found.serving == f"classifier version 2, by run {second.id}"
    assert found.refresh is None


def test_each_model_has_a_figure_of_its_own(store, left_run):
    for number, model in enumerate(("hats", "shoes", "<b>hats"), 1):
        left_run(number, model=model)
        left_run(number + 10, model=model)
    rows = history(store)
    assert [row.model for row in rows.rows] == ["<b>hats", "shoes", "hats"] * 2
    page = render_history(rows)
    for told in ("hats", "shoes", "&lt;b&gt;hats"):
        assert page.count(f"Accuracy of the runs of {told}</title>") == 1
    assert "<b>hats" not in page


def test_a_run_that_goes_on_is_looked_at_again(output, store, left_run):
    left_run(1)
    run = left_run.start(2)
    with hold(output.lock, lock_holder(run.id), 0, pytest.fail):
        found = history(store, live=True, refresh=3)
    assert (found.rows[0].verdict, found.refresh) == ("running", 3)
    assert found.rows[0].seconds == pytest.approx(time.time() - run.started, abs=60)
    assert all(row.link for row in found.rows)
    assert history(store, live=True, refresh=3).refresh is None, "it has ended"


def test_only_runs_are_listed(output, store, left_run):
    left_run(1)
    for other in ("notes", "20261124-000060-ab12"):  # no minute has that second
        (output.runs / other).mkdir()
    assert len(history(store).rows) == 1


def test_of_thousands_of_runs_the_newest_are_read(output, store, left_run):
    for number in range(1, MAX_ROWS + 6):
        left_run(number)
    found = history(store)
    assert (len(found.rows), found.left_out) == (MAX_ROWS, 5)
    assert found.rows[0].run_id > found.rows[-1].run_id == left_run.id(6)


def test_an_output_without_runs_has_an_empty_page(store):
    assert history(store).rows == ()


def test_a_damaged_run_does_not_hide_the_others(output, store, left_run):
    left_run(1)
    left_run(2, metrics={"accuracy": 2.0, "examples": 10.0})
    left_run(3, pushed_path="nowhere")
    third, second, first = history(store).rows
    assert (first.verdict, first.accuracy) == ("pushed", 0.9)
    assert all("damaged" in row.note for row in (second, third))


def test_a_run_without_a_summary_is_what_its_page_says(output, store, left_run):
    """Its child has ended well; the command was killed before it wrote the summary."""
    run = left_run(1)
    Outcome(verdict="refused", metrics={"accuracy": 0.5}).write(run)
    run.summary.unlink()
    (row,) = history(store).rows
    assert (row.verdict, row.accuracy) == ("refused", 0.5)
