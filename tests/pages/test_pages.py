"""The pages as people see them, from facts that are made up."""

import pytest

from components.run_report.facts import History, RunSummary
from components.run_report.page import render, render_data, render_history
from tests import report_facts as facts

FAILED = RunSummary(
    verdict="failed",
    error={"kind": "input", "message": f"label {facts.ODD_LABELS[0]} is wrong\n{'x' * 300}"},
)
PAGES = {
    "pushed": lambda: render(facts.report()),
    "refused, odd labels": lambda: render(
        facts.report(
            (*facts.ODD_LABELS, *(f"class {number}" for number in range(13))),
            summary=facts.summary(facts.ODD_LABELS, verdict="refused", pushed_path=None),
        )
    ),
    "failed at once": lambda: render(
        facts.report(
            summary=FAILED, data=None, training=None, evaluation=None, before=None, next=None
        )
    ),
    "data": lambda: render_data(
        facts.data(facts.ODD_LABELS), facts.ODD_LABELS[1], facts.ODD_LABELS[5], facts.ODD_LABELS
    ),
    "all runs": lambda: render_history(History(title="Runs", rows=facts.history())),
    "no run yet": lambda: render_history(History(title="Runs", rows=())),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_it_should_be(page_check, tmp_path, name):
    page = tmp_path / "page.html"
    page.write_text(PAGES[name](), encoding="utf-8")
    page_check(page)
