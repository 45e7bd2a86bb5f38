"""The pages as text; what a browser makes of them is seen elsewhere."""

import re
import warnings
from html.parser import HTMLParser

import pytest

from components.evaluator.verdict import Rule
from components.run_report import page
from components.run_report.facts import (
    Before,
    Failure,
    History,
    HistoryRow,
    Node,
    RunReport,
    RunSummary,
)
from tests import report_facts

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements, ids and text of a page; fails where elements do not close each other in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def sections(self):
        return [attributes["id"] for attributes in self.all("section")]


def all_pages(labels=report_facts.LABELS):
    row = HistoryRow(run_id=labels[0], verdict="failed", note=labels[1], version=labels[2])
    rows = (row, *report_facts.history())
    return {
        "run": page.render(report_facts.report(labels)),
        "data": page.render_data(report_facts.data(labels), labels[0], labels[1], labels[2:]),
        "history": page.render_history(History(title=labels[0], rows=rows, serving=labels[1])),
    }


@pytest.fixture(scope="module")
def pages():
    return all_pages()


@pytest.fixture(scope="module")
def odd_pages():
    # A glyph that the measuring font lacks must not warn either.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return all_pages(report_facts.ODD_LABELS)


def test_a_run_shows_all_that_is_known_what_decides_first(pages):
    found = Page(pages["run"])
    assert found.sections == [
        *("gate", "against", "server", "confusion", "classes", "calibration", "answers"),
        *("explanations", "slices", "training", "augmentation", "label-issues", "data", "rejected"),
        *("duplicates", "contradictory", "sample", "drift", "nodes", "made", "repeat"),
    ]
    links = [one["href"] for one in found.all("a")]
    assert links == ["#main", *(f"#{name}" for name in found.sections)]
    for told in ("All 2 bounds of the gate were met", "+2.1", "+0.4 to +3.9", "22.1 ms", "0.8853"):
        assert told in found.text


def test_a_page_needs_nothing_from_elsewhere(pages):
    for text in pages.values():
        for _, attributes in Page(text).elements:
            for name in ("src", "href", "xlink:href"):
                assert re.match(r"#|data:|runs/|$", attributes.get(name) or "")
        assert "@import" not in text
        assert re.findall(r"url\((?!#)", text) == []


def test_the_same_facts_give_the_same_bytes(pages):
    assert all_pages() == pages


def test_labels_are_text_everywhere(odd_pages):
    for name, text in odd_pages.items():
        found = Page(text)
        assert not found.all("script"), name
        assert all((one["src"] or "").startswith("data:image/jpeg") for one in found.all("img"))
        assert not any(
            attribute.startswith("on") for _, all_ in found.elements for attribute in all_
        )
        assert "\x1b" not in text
        for label in report_facts.ODD_LABELS[:2]:
            assert label in found.text
    for label in report_facts.ODD_LABELS[:6]:
        assert Page(odd_pages["run"]).text.count(label) > 3
    assert r"\x1b[31m" in odd_pages["run"]


def test_labels_stand_in_figures_as_they_are(odd_pages):
    figure = re.search(r"<svg[^>]*class-shifts.*?</svg>", odd_pages["run"], re.DOTALL)
    text = Page(figure.group()).text
    for label in (
        "costs $5 and $x^2$ {{ 7",
        "🦊 fox 👩",
        "قميص",
        "xxx…",
        "<script>alert(1)</scrip",
    ):
        assert label in text


def test_labels_that_may_be_wrong_are_to_be_looked_at():
    def told(count):
        issues = report_facts.label_issues(report_facts.LABELS, count)
        data = report_facts.data().model_copy(update={"label_issues": issues})
        return Page(page.render_data(data, "Data")).text

    assert "4 of 400 labels may be wrong" in told(4)
    assert "Look at them before you change any" in told(4)
    assert "0 of 400 labels may be wrong" in told(0)
    assert "Look at them" not in told(0)


def test_a_label_that_looks_like_a_style_stays_as_it_is():
    label = "font-family: #010b0c; A"
    other = report_facts.data((label, "hat"), seed=1)
    before = Before(run_id="before", data=other)
    report = RunReport(run_id="one", data=report_facts.data((label, "hat")), before=before)
    figure = re.search(r"<svg[^>]*class-shifts.*?</svg>", page.render(report), re.DOTALL)
    assert label in Page(figure.group()).text


def test_a_differences_interval_is_in_the_units_of_its_measure():
    rule = Rule(metric="log_loss", value=0.3, bound="<= 0.1", passed=False, interval=(-0.1, 0.2))
    text = Page(page.render(RunReport(run_id="one", summary=RunSummary(rules=(rule,))))).text
    assert "\N{MINUS SIGN}0.1000 to +0.2000" in text


def test_every_picture_and_figure_has_words(pages):
    for text in pages.values():
        found = Page(text)
        assert all(one["alt"] for one in found.all("img"))
        names = [name for one in found.all("svg") for name in one["aria-labelledby"].split()]
        ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
        assert set(names) <= set(ids)
        assert len(set(ids)) == len(ids)
        assert len(found.all("svg")) == len(found.all("title")) - 1 > 0
        assert len(found.all("caption")) == len(found.all("table"))


def test_figures_take_their_colours_from_the_theme(pages):
    for figure in re.findall(r"<svg.*?</svg>", pages["run"], re.DOTALL):
        assert "var(--" in figure
        assert set(re.findall(r"#[0-9a-f]{6}\b", figure)) <= {"#ffffff"}


def test_many_classes_and_images_stay_a_small_page():
    labels = tuple(f"class {number:04}" for number in range(1000))
    text = page.render(report_facts.report(labels, 100_000))
    assert len(text.encode()) < 2_000_000
    found = Page(text)
    assert "The other 970 classes" in found.text
    assert all(label in found.text for label in labels)


def test_a_bound_for_each_of_many_classes_buries_nothing():
    slices = [f"label=class {number:03}" for number in range(500)]
    rules = tuple(
        Rule(metric="recall", slice=one, value=0.5, bound=">= 0.4", passed=place < 499)
        for place, one in enumerate(slices)
    )
    measures = {one: {"accuracy": 0.5} for one in slices}
    summary = RunSummary(verdict="refused", rules=rules, slices=measures)
    text = page.render(RunReport(run_id="one", summary=summary))
    gate, _, rest = Page(text).text.partition("The other 460 bounds")
    assert gate.count("label=class") == 41  # with the sentence at the top
    assert gate.index("label=class 499") < gate.index("label=class 000")
    assert "260 more are in the run's summary.json" in rest
    assert "280 more are in the run's summary.json" in rest


def test_a_failed_run_shows_the_error_and_what_is_known_up_to_there():
    report = RunReport(
        run_id="20261124-114956-491c",
        summary=RunSummary(
            verdict="failed", error=Failure(kind="input", message="the disk is full: make room")
        ),
        nodes=(Node(name="Transform"), Node(name="Trainer", state="failed", seconds=3.0)),
        data=report_facts.data(),
    )
    found = Page(page.render(report))
    assert "Trainer failed" in found.text
    assert found.text.index("the disk is full") < found.text.index("Images of each class")
    assert "gate" not in found.sections


def test_of_a_refused_run_the_bounds_that_were_not_met_come_first():
    met = Rule(metric="accuracy", value=0.9, bound=">= 0.8", passed=True)
    unmet = Rule(metric="recall", slice="label=hat", value=0.5, bound=">= 0.7", passed=False)
    unknown = Rule(metric="auc", bound=">= 0.9", passed=False, reason="one class only")
    summary = RunSummary(verdict="refused", rules=(met, unmet, unknown))
    text = Page(page.render(RunReport(run_id="one", summary=summary))).text
    assert "2 of 3 bounds of the gate were not met: recall of label=hat is 0.5000" in text
    assert text.index("✕ refused") < text.index("✓ passed")


@pytest.mark.parametrize(
    ("summary", "why"),
    [
        (RunSummary(), "has just begun"),
        (RunSummary(verdict="failed"), "came to no verdict"),
        (RunSummary(verdict="unchanged"), "serves already"),
        (RunSummary(verdict="refused", withheld="versions are held"), "versions are held"),
    ],
)
def test_a_run_of_which_little_is_known_has_its_page(summary, why):
    found = Page(page.render(RunReport(run_id="one", summary=summary)))
    assert why in found.text
    assert found.sections == []


def test_only_a_page_that_changes_looks_again():
    still, live = (page.render(RunReport(run_id="one", refresh=every)) for every in (None, 2))
    assert "<script" not in still
    assert 'data-refresh="2.0"' in live
    assert live.count("<script>") == 1
    assert page.script_hash().startswith("'sha256-")


def test_the_history_names_runs_and_what_serves():
    text = page.render_history(
        History(title="clothes", rows=report_facts.history(), left_out=1200, serving="version 30")
    )
    found = Page(text)
    assert "version 30" in found.text
    assert "1,200 older runs" in found.text
    assert [one["href"] for one in found.all("a")].count("runs/29/report.html") == 1
    assert "No run yet" in page.render_history(History(title="clothes"))


def test_accuracy_over_time_says_from_when_to_when():
    rows = tuple(
        HistoryRow(run_id=day, verdict="pushed", started=f"2026-11-{day} 03:00 UTC", accuracy=0.9)
        for day in ("24", "17", "10")
    )
    (figure,) = re.findall(
        r"<svg.*?</svg>", page.render_history(History(title="runs", rows=rows)), re.DOTALL
    )
    assert re.findall(r">(2026-11-\d\d)<", figure) == ["2026-11-10", "2026-11-24"]
