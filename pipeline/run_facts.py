"""What the page of a run shows, put together from what the run has left in its folder."""

import re
import shlex
import time
from collections.abc import Iterator
from typing import Any

from components.run_report.facts import Before, Link, Node, RunReport, RunSummary
from components.run_report.parts import EvaluationPart, TrainingPart
from components.settings import masked
from components.store import is_remote
from pipeline.layout import CONFIG_FILE, INDEX_FILE, is_run_id
from pipeline.progress import Progress
from pipeline.run_files import RunFiles
from pipeline.served import serving_now
from pipeline.summary import Outcome, Summary
from pipeline.terminal import epoch_line
from pipeline.verdict import next_step

LOST = (
    "the run was killed together with the command that watched it, so that nobody could say why; "
    "most often the machine was restarted, or memory ran out"
)
_LOOKED_AT = 50  # earlier runs, for the data of one
# Variables of pods by the names that keys and passwords have.
_SECRET = re.compile(
    r"^(( *)[A-Z0-9_]*(?:KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL)[A-Z0-9_]*: ).+$"
    r"(?:\n(?:\2 .*)?$)*",  # and further lines of the same value
    re.MULTILINE,
)


def run_report(files: RunFiles, refresh: float | None = None) -> RunReport:
    """Returns what is known of a run, whatever became of it.

    Args:
        files: the run's.
        refresh: seconds between two looks at the page, if it is looked at while the run goes on.

    Raises:
        StoreError: if the output can't be read.
    """
    summary = summary_of(files)
    seed = files.setting("trainer", "seed")
    return RunReport(
        run_id=files.id,
        started=started(files),
        summary=shown(files, summary),
        next=None if summary is None else masked(next_step(summary, files.path)),
        nodes=tuple(_nodes(files, summary)),
        data=files.data,
        training=files.part(TrainingPart),
        evaluation=files.part(EvaluationPart),
        before=_before(files),
        config=None if files.config is None else _without_secrets(files.config),
        commands=tuple(_commands(files, summary)),
        lineage=tuple((what, masked(which)) for what, which in _lineage(files, summary)),
        seed=seed if isinstance(seed, int) else None,
        links=(Link(text="All runs", href=f"../../{INDEX_FILE}"),),
        refresh=refresh if files.is_running else None,
    )


def started(files: RunFiles) -> str:
    """Returns when a run started, for people."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(files.path.started))


def summary_of(files: RunFiles) -> Summary | None:
    """Returns what a run came to: of a killed one, what can be said of it; None while it goes on.

    Raises:
        StoreError: if the output can't be read.
    """
    if files.summary is not None or files.is_running:
        return files.summary
    return Summary.of(
        files.outcome or Outcome.failed("fault", LOST),
        run_id=files.id,
        data="",
        seconds=files.progress.seconds(),
        versions={},
        warnings=tuple(files.progress.warnings),
    )


def shown(files: RunFiles, summary: Summary | None) -> RunSummary:
    """Returns what a run came to; of one that goes on, what is known by now."""
    if summary is None:
        progress = files.progress
        known = {"images": progress.images, "warnings": progress.warnings}
        return RunSummary.model_validate(_masked({"verdict": "running", **known}))
    return RunSummary.model_validate(_masked(summary.model_dump(mode="json")))


def _masked(value: Any) -> Any:
    """Returns JSON values without the passwords of addresses."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    return [_masked(inner) for inner in value] if isinstance(value, list) else value


def _without_secrets(config: str) -> str:
    return _SECRET.sub(r"\1'***'", masked(config))


def _nodes(files: RunFiles, summary: Summary | None) -> Iterator[Node]:
    for record in files.records:
        yield Node(name=record.node, state=record.state, seconds=record.seconds)
    # A node that ran when the run ended, and those that never came to run.
    ended = {} if summary is None else {"running": "failed", "waiting": "skipped"}
    known, now = {} if summary is None else summary.seconds, time.time()
    for node in files.progress.nodes.values():
        seconds = None if node.started is None else round(node.seconds(now), 3)
        yield Node(
            name=node.name,
            state=ended.get(node.state, node.state),
            seconds=known.get(node.name, None if summary is not None else seconds),
            note=_doing(files.progress) if summary is None and node.state == "running" else None,
        )


def _doing(progress: Progress) -> str | None:
    """Returns what the node at work does."""
    epochs = [epoch_line(epoch) for epoch in progress.epochs.values()]
    return progress.activity or (epochs[-1] if epochs else None)


def _before(files: RunFiles) -> Before | None:
    """Returns the data of the newest earlier run of the same model that has left word of it."""
    if files.data is None:
        return None
    names = sorted(files.output.child("runs").names())
    earlier = [name for name in names if is_run_id(name) and name < files.id]
    model = files.setting("serving", "model_name")
    for name in reversed(earlier[-_LOOKED_AT:]):
        former = RunFiles(files.output, name)
        if former.data is not None and former.setting("serving", "model_name") == model:
            return Before(run_id=name, data=former.data)
    return None


def _commands(files: RunFiles, summary: Summary | None) -> Iterator[str]:
    """Yields what runs the same again: on this machine, or on a cluster."""
    if files.config is None or summary is None or not summary.data:
        return
    config = f"{files.folder.address}/{CONFIG_FILE}"
    if is_remote(config):
        copy = {"s3": "aws s3 cp", "gs": "gcloud storage cp"}[config.partition(":")[0]]
        yield f"{copy} {shlex.quote(config)} {CONFIG_FILE}"
        config = CONFIG_FILE
    words = ["effnet", "submit", "--config", config]
    if summary.kubeflow_run is None:
        where = ["--data", masked(summary.data), "--config", config]
        words = ["effnet", "run", *where, "--output", files.output.address]
    if files.data is not None and files.data.span and not files.setting("data", "span"):
        words += ["--set", f"data.span='{files.data.span}'"]
    yield shlex.join(words)


def _lineage(files: RunFiles, summary: Summary | None) -> Iterator[tuple[str, str]]:
    if summary is not None and summary.data:
        yield "Data", summary.data
    if files.data is not None and files.data.span:
        yield "Span", files.data.span
    yield "Run", files.id
    if summary is not None and summary.kubeflow_run:
        yield "Kubeflow's run", summary.kubeflow_run
    if summary is not None and summary.baseline_version is not None:
        yield "Served before", f"version {summary.baseline_version}"
    if summary is not None and summary.pushed_path:
        yield ("Pushed to" if summary.verdict == "pushed" else "Serving"), summary.pushed_path
    model = files.setting("serving", "model_name")
    for now in serving_now(files.output.address):
        if now.model == model:
            # A page that lies there grows old.
            yield "Serving when this was written", str(now)
