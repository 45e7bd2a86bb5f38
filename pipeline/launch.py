"""One run of the pipeline, from a checked configuration to its summary."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline import notify
from pipeline.clean import clear_scratch
from pipeline.config import PipelineConfig
from pipeline.config_reference import render
from pipeline.files import write_atomically
from pipeline.layout import Output, RunFolder, new_run_id
from pipeline.lock import hold, usable
from pipeline.progress import Progress
from pipeline.run_files import lock_holder
from pipeline.summary import Images, Outcome, Summary
from pipeline.supervisor import End, last_lines, supervise
from pipeline.terminal import Display


@dataclass(frozen=True)
class Request:
    """What a run is asked to do."""

    config: PipelineConfig
    data: str  # absolute path, or address
    output: Output
    wait: float = 600.0  # seconds to wait for another command on the same output


def child_command(run: RunFolder, request: Request) -> list[str]:
    """Returns the command of the process that imports TFX.

    -P keeps a folder named pipeline, where the user happens to stand, from being taken for ours.
    """
    where = ["--output", str(request.output.root), "--run-id", run.id]
    return [sys.executable, "-P", "-m", "pipeline.local", *where, "--data", request.data]


def launch(
    request: Request,
    display: Display,
    make_command: Callable[[RunFolder, Request], Sequence[str]] = child_command,
) -> Summary:
    """Runs the pipeline in a child and leaves the run's folder complete.

    Args:
        request: what to run.
        display: shows it.
        make_command: the child's command.

    Raises:
        OutputError: if the output can't be written to, or stays taken by another command.
    """
    run = request.output.run(new_run_id())
    with hold(request.output.lock, lock_holder(run.id), request.wait, display.note) as lock:
        with usable(request.output.root):
            clear_scratch(request.output)
            run.path.mkdir(parents=True)
        progress = Progress(started=time.time())
        try:
            outcome = _run(run, request, make_command(run, request), lock, progress, display)
        except OSError as error:
            # A full disk, most of all: the summary still says so, to --json at least.
            outcome = Outcome.failed("fault", f"the run could not go on: {error}")
        clear_scratch(request.output)  # first, so that a full disk has room for the summary
        summary = _close(run, request, outcome, progress)
        _write(run, summary, display)
    told = notify.tell(request.config, summary)
    if told != summary:
        display.note(f"warning: {told.warnings[-1]}")
        _write(run, told, display)
    return told


def _run(
    run: RunFolder,
    request: Request,
    command: Sequence[str],
    lock: int,
    progress: Progress,
    display: Display,
) -> Outcome:
    write_atomically(run.config, render(request.config))
    display.note(f"run {run.id}; the libraries' log is {run.log}")
    display.start(progress)
    try:
        end = supervise(command, run, lock, progress, display)
    finally:
        display.close()
    return Outcome.read(run) or _without_outcome(run, end)


def _without_outcome(run: RunFolder, end: End) -> Outcome:
    """Tells the end of a child that could not tell it itself."""
    message = end.describe()
    if end.interrupted_by is None:
        message = "\n".join([f"{message}; the last lines of its log:", *last_lines(run)])
    return Outcome.failed("fault", message)


def _close(run: RunFolder, request: Request, outcome: Outcome, progress: Progress) -> Summary:
    if outcome.images == Images():  # It ended early, but may have counted them.
        outcome = outcome.model_copy(update={"images": Images(**progress.images)})
    return Summary.of(
        outcome,
        run_id=run.id,
        model=request.config.serving.model_name,
        backbone=outcome.backbone or request.config.trainer.backbone,
        data=request.data,
        seconds={**progress.seconds(), "total": round(time.time() - progress.started, 3)},
        warnings=tuple(progress.warnings),
    )


def _write(run: RunFolder, summary: Summary, display: Display) -> None:
    try:
        write_atomically(run.summary, summary.to_json() + "\n")
    except OSError as error:
        display.note(f"warning: {run.summary} could not be written: {error}")
