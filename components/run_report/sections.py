"""Which sections a page has: those that there is something to say in, in the order of reading."""

from typing import Any, NamedTuple

from components.run_report.facts import History, RunReport
from components.run_report.parts import DataPart, EvaluationPart, LabelIssues, TrainingPart


class Section(NamedTuple):
    """A section; its template is sections/NAME.html.j2."""

    name: str
    title: str


def of_run(report: RunReport) -> list[Section]:
    """What decides comes first, then what explains it, then how it was made."""
    summary = report.summary
    return _present(
        ("progress", "Progress", summary.verdict == "running" and report.nodes),
        ("retrain", "What is new", summary.retrain),
        ("gate", "Gate", summary.rules),
        ("against", "Against the serving model", summary.comparison or summary.baseline),
        ("server", "On a real server", summary.serving),
        *_of_evaluation(report.evaluation),
        ("slices", "Slices", summary.slices),
        *_of_training(report.training),
        ("search", "Search", summary.search),
        (
            "label-issues",
            "Likely label errors",
            label_issues(report.training, report.evaluation, report.data),
        ),
        *_of_data(report.data),
        ("drift", "Drift", report.before and report.data),
        ("nodes", "Time", summary.verdict != "running" and (report.nodes or summary.seconds)),
        ("made", "How it was made", True),
        ("repeat", "Repeat it", report.commands),
    )


def of_data(data: DataPart) -> list[Section]:
    """Of a page that shows the data alone."""
    overview, *rest = _of_data(data)
    issues = ("label-issues", "Likely label errors", label_issues(data))
    return _present(overview, issues, *rest)


def of_history(history: History) -> list[Section]:
    """Of the page of all runs."""
    known = [row for row in history.rows if row.accuracy is not None]
    return _present(("history", "Accuracy over time", len(known) > 1), ("runs", "All runs", True))


def _present(*candidates: tuple[str, str, Any]) -> list[Section]:
    return [Section(name, title) for name, title, there in candidates if there]


def _of_evaluation(part: EvaluationPart | None) -> list[tuple[str, str, Any]]:
    if part is None:
        return []
    confused = part.confusion and (part.confusion.counts or part.confusion.pairs)
    return [
        ("confusion", "What it confuses", confused),
        ("classes", "Classes", part.by_class),
        ("calibration", "Calibration", part.reliability),
        ("answers", "Mistakes and close calls", part.mistakes or part.hesitant),
        ("explanations", "Where it looks", part.explained),
    ]


def _of_training(part: TrainingPart | None) -> list[tuple[str, str, Any]]:
    if part is None:
        return []
    return [
        ("training", "Training", part.curves),
        ("augmentation", "Augmentation", part.augmentation),
    ]


def _of_data(data: DataPart | None) -> list[tuple[str, str, Any]]:
    if data is None:
        return []
    alike = data.across_splits or data.within_splits
    return [
        ("data", "Data", True),
        ("rejected", "Set aside", data.rejected_count),
        ("duplicates", "Duplicates", data.copies or alike),
        ("contradictory", "Contradictory labels", data.contradictory_count),
        ("sample", "Contact sheet", data.sample),
    ]


def label_issues(
    *parts: TrainingPart | EvaluationPart | DataPart | None,
) -> list[tuple[str, LabelIssues]]:
    """Pairs of where was looked, and what was found, of the parts that looked."""
    places = {TrainingPart: "train and val", EvaluationPart: "test", DataPart: "all images"}
    return [
        (places[type(part)], part.label_issues)
        for part in parts
        if part is not None and part.label_issues is not None
    ]
