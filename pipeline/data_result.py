"""What `effnet data` found, for people on a terminal and for programs."""

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from components import features
from components.evaluator.verdict import Record
from components.run_report.parts import DataPart, LabelIssues, NearDuplicates
from components.run_report.wording import duration
from pipeline.summary import EXIT_INPUT, Failure
from pipeline.terminal import STYLES, printable

_ENDS = 8  # classes that are shown at either end
_FIRST = 5  # of what is listed
_LABEL_WIDTH = 32
_PICTURE = {"jpeg"}
# Pictures are for the page.
_PICTURES: dict[str, Any] = {
    "data": {
        "sample": True,
        "near_duplicates": {"__all__": {"first": _PICTURE, "second": _PICTURE}},
        "label_issues": {"shown": {"__all__": {"image": _PICTURE}}},
    }
}


class DataReport(Record):
    """The data as a whole.

    Attributes:
        root: where it lies.
        data: what was found.
        advice: what to look at first, a sentence each.
        error: why a run would refuse this data; None if it would not.
        page: path of the page; None if none was asked for.
        seconds: that it took.
    """

    root: str
    data: DataPart
    advice: tuple[str, ...] = ()
    error: Failure | None = None
    page: str | None = None
    seconds: float = 0.0

    @property
    def exit_status(self) -> int:
        """Of the command: 0 if a run would take the data."""
        return 0 if self.error is None else EXIT_INPUT

    def to_json(self) -> str:
        """Returns one JSON object, without pictures."""
        return self.model_dump_json(indent=2, exclude=_PICTURES)


def class_counts(data: DataPart) -> dict[str, int]:
    """Returns the images of each class over all splits, the largest class first."""
    counts: dict[str, int] = {}
    for classes in data.images.values():
        for label, count in classes.items():
            counts[label] = counts.get(label, 0) + count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def print_report(report: DataReport, console: Console) -> None:
    """Prints the summary; what came from users is text, and ids stay in one piece."""
    for part in _parts(report):
        console.print(part, soft_wrap=isinstance(part, Text))


def _parts(report: DataReport) -> Iterator[RenderableType]:
    data = report.data
    splits = {split: sum(data.images.get(split, {}).values()) for split in features.SPLITS}
    span = f", span {data.span}" if data.span else ""
    yield _text(f"data       {report.root} ({data.layout}{span})")
    shares = ", ".join(f"{count} {split}" for split, count in splits.items())
    yield _text(f"images     {sum(splits.values())}: {shares}")
    if data.formats:
        formats = ", ".join(f"{count} {name}" for name, count in data.formats.items())
        yield _text(f"formats    {formats}")
    yield from _rejected(data)
    yield from _copies(data)
    yield from _near(data)
    if data.label_issues is not None:
        yield from _issues(data.label_issues)
    yield _class_table(data)
    for sentence in report.advice:
        yield _text(f"look at: {sentence}", STYLES["warning"])
    if report.error is not None:
        yield _text(f"error: {report.error.message}", STYLES["failed"])
    if report.page is not None:
        yield _text(f"page: {report.page}")
    yield _text(f"took {duration(report.seconds)}")


def _rejected(data: DataPart) -> Iterator[Text]:
    if not data.rejected_count:
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in data.rejected_by_reason.items())
    yield _text(
        f"set aside  {data.rejected_count} ({data.rejected_share:.1%}): {reasons}",
        STYLES["warning"],
    )
    for row in data.rejected[:_FIRST]:
        yield _text(f"  {row['id']}: {row['reason']}, {row['detail']}")
    yield from _more(data.rejected_count)


def _copies(data: DataPart) -> Iterator[Text]:
    if data.copies:
        dropped = f", {data.dropped} dropped from a lesser split" if data.dropped else ""
        yield _text(f"copies     {data.copies} images are there several times{dropped}")
    if count := data.contradictory_count:
        have = "content has" if count == 1 else "contents have"
        yield _text(
            f"labels     {count} {have} contradictory ones",
            STYLES["warning"],
        )
        for row in data.contradictory[:_FIRST]:
            yield _text(f"  {', '.join(row['ids'])} as {', '.join(row['labels'])}")
        yield from _more(data.contradictory_count)


def _near(data: DataPart) -> Iterator[Text]:
    total = data.across_splits + data.within_splits
    if not total:
        return
    places = f"{data.across_splits} across splits, {data.within_splits} within"
    yield _text(
        f"look alike {total} pairs: {places}",
        STYLES["warning"] if data.across_splits else "",
    )
    for pair in data.near_duplicates[:_FIRST]:
        yield _text(f"  {_pair(pair)}")
    yield from _more(total)


def _pair(pair: NearDuplicates) -> str:
    first, second = (f"{image.id} ({image.split})" for image in (pair.first, pair.second))
    return f"{first} | {second}"


def _issues(issues: LabelIssues) -> Iterator[Text]:
    yield _text(
        f"labels     {issues.count} of {issues.judged} may be wrong, by {issues.method}",
        STYLES["warning"] if issues.count else "",
    )
    for issue in issues.shown[:_FIRST]:
        yield _text(
            f"  {issue.image.id}: {issue.image.label} ({issue.given_probability:.2f}), rather "
            f"{issue.suggested} ({issue.suggested_probability:.2f})"
        )
    yield from _more(issues.count)


def _more(count: int) -> Iterator[Text]:
    if count > _FIRST:
        yield _text(f"  and {count - _FIRST} more")


def _class_table(data: DataPart) -> Table:
    """A row a class; of many, the largest and the smallest."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(overflow="fold")
    for _ in features.SPLITS:
        table.add_column(justify="right")
    table.add_row("class", *features.SPLITS, style="bold")
    labels = list(class_counts(data))
    hidden = len(labels) - 2 * _ENDS
    for number, label in enumerate(labels):
        if hidden <= 1 or not _ENDS <= number < len(labels) - _ENDS:
            counts = (str(data.images.get(split, {}).get(label, 0)) for split in features.SPLITS)
            table.add_row(_text(_shortened(label)), *counts)
        elif number == _ENDS:
            table.add_row(_text(f"... {hidden} more ..."))
    return table


def _shortened(label: str) -> str:
    text = printable(label)
    if cell_len(text) <= _LABEL_WIDTH:
        return text
    return text[: _LABEL_WIDTH - 3] + "..."


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)
