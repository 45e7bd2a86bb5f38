"""What `effnet data` does once TensorFlow is there: ingestion's own check, without a run."""

import tempfile
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from components.batch_scoring.model import FoundModel
from components.errors import DataError
from components.image_example_gen import report as reports
from components.image_example_gen.inspection import Inspection, inspect
from components.image_example_gen.source import text_of
from components.run_report.page import render_data
from pipeline.config import PipelineConfig
from pipeline.data_advice import advice
from pipeline.data_labels import label_issues
from pipeline.data_result import DataReport
from pipeline.preflight import Found
from pipeline.summary import Failure
from trainer.config import resolve_image_size


def look(
    found: Found, config: PipelineConfig, model: FoundModel | None, console: Console
) -> DataReport:
    """Checks every image as ingestion does, and asks a model about the labels if there is one.

    Args:
        found: where the data lies, and its files.
        config: the effective configuration.
        model: to ask for likely label errors; None for none.
        console: shows how far it is, if it is a terminal.

    Raises:
        DataError: if the data can't even be divided into splits.
    """
    with tempfile.TemporaryDirectory(prefix="effnet-data-") as scratch, _bars(console) as bars:
        inspection = inspect(
            found.location, found.listing, config.data, config.splits, scratch, _runner(bars)
        )
        part = inspection.part
        if model is not None:
            splits = inspection.division.splits
            task = bars.add_task(f"Asking {model}", total=sum(map(len, splits.values())))
            issues = label_issues(splits, model, config.data, lambda n: bars.advance(task, n))
            part = part.model_copy(update={"label_issues": issues})
    size = resolve_image_size(config.transform, config.trainer)
    return DataReport(
        root=text_of(found.location.root),
        data=part,
        advice=(
            *reports.warnings(inspection.report),
            *advice(part, config.gate, _smaller(inspection, size), size),
        ),
        error=_refusal(inspection, config),
    )


def page(report: DataReport) -> str:
    """Returns the page, as HTML; why a run would refuse the data comes first."""
    refused = () if report.error is None else (f"A run would end here: {report.error.message}",)
    return render_data(report.data, "Data", report.root, (*refused, *report.advice))


def _runner(bars: Progress) -> Callable[[str, Callable[[Any], None], list[Any]], None]:
    def run(name: str, step: Callable[[Any], None], work: list[Any]) -> None:
        for job in bars.track(work, description=f"{name}ing images"):
            step(job)

    return run


def _bars(console: Console) -> Progress:
    """Bars that leave nothing behind; none where nobody watches."""
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _smaller(inspection: Inspection, size: int) -> int:
    """Counts the images with a side of fewer pixels than they are trained at."""
    images = (image.facts for images in inspection.division.splits.values() for image in images)
    return sum(min(facts.width, facts.height) < size for facts in images)


def _refusal(inspection: Inspection, config: PipelineConfig) -> Failure | None:
    try:
        share = config.data.max_rejected_share
        reports.refuse_unusable(inspection.report, inspection.rejected, share)
    except DataError as error:
        return Failure(kind="input", message=str(error))
    return None
