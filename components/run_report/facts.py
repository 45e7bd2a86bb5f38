"""What the pages show, as plain records. Anything but a run's id may be missing."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from components.evaluator.verdict import Comparison, Record, Rule
from components.retrain_check.decision import Decision
from components.run_report.parts import DataPart, EvaluationPart, TrainingPart
from components.serving_validator.report import ServingReport

Verdict = Literal["pushed", "refused", "unchanged", "failed", "running"]
Measures = Mapping[str, float | None]


class Failure(Record):
    """Why a run failed: by what it was given (`input`), or by a fault."""

    kind: str
    message: str


class Search(Record):
    """Members that were tried: backbone, weights, val_accuracy, problem; and why no more."""

    stopped: str
    trials: tuple[Mapping[str, Any], ...] = ()


class RunSummary(Record):
    """What of summary.json the page shows, under the same names; other keys are left aside.

    A run that goes on is `running`, with what is known of it.
    """

    verdict: Verdict = "running"
    withheld: str | None = None
    retrain: Decision | None = None
    rules: tuple[Rule, ...] = ()
    metrics: Measures = Field(default_factory=dict)
    baseline: Measures | None = None
    comparison: Comparison | None = None
    seen: int | None = None
    serving: ServingReport | None = None
    slices: Mapping[str, Measures] = Field(default_factory=dict)
    images: Mapping[str, int | None] = Field(default_factory=dict)
    pushed_path: str | None = None
    backbone: str | None = None
    search: Search | None = None
    error: Failure | None = None
    kubeflow_run: str | None = None
    data: str | None = None
    seconds: Mapping[str, float] = Field(default_factory=dict)
    versions: Mapping[str, str] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Node(Record):
    """One node of the run.

    Attributes:
        name: as the pipeline names it.
        state: waiting, running, done, cached, failed or skipped.
        seconds: that it took, or takes up to now.
        note: what it does at the moment, e.g. an epoch.
    """

    name: str
    state: str = "done"
    seconds: float | None = None
    note: str | None = None


class Link(Record):
    """A way to another page, relative to this one."""

    text: str
    href: str


class Before(Record):
    """What an earlier run was trained on."""

    run_id: str
    data: DataPart


class RunReport(Record):
    """All that the page of a run shows.

    Attributes:
        run_id: the run's.
        started: as people read it, with the time zone.
        summary: what it came to; a mapping read from summary.json does.
        next: what to do next, in a sentence.
        nodes: in the order of the pipeline; by default those that `summary.seconds` knows.
        data, training, evaluation: the parts that nodes have left.
        before: the data of the last run before it.
        config: the configuration in effect, as YAML.
        commands: that repeat the run, one a line.
        lineage: rows of what and which: data, span, run, models.
        seed: of the training.
        links: to the pages of other runs.
        refresh: seconds between two looks at a page that still changes; None: it doesn't.
    """

    run_id: str
    started: str | None = None
    summary: RunSummary = RunSummary()
    next: str | None = None
    nodes: tuple[Node, ...] = ()
    data: DataPart | None = None
    training: TrainingPart | None = None
    evaluation: EvaluationPart | None = None
    before: Before | None = None
    config: str | None = None
    commands: tuple[str, ...] = ()
    lineage: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    links: tuple[Link, ...] = ()
    refresh: float | None = None


class HistoryRow(Record):
    """A run in the history.

    Attributes:
        run_id: the run's.
        verdict: what it came to.
        model: that it trained, by its name; None where that isn't known.
        started: as people read it.
        accuracy: on its test split, in [0, 1].
        interval: of the accuracy, with 95 % confidence.
        seconds: that it took.
        link: to its report, relative to the page.
        version: that it pushed.
        serving: whether that version serves now.
        warnings: how many there were.
        note: a few words, e.g. why it failed.
    """

    run_id: str
    verdict: Verdict
    model: str | None = None
    started: str | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    seconds: float | None = Field(None, allow_inf_nan=False)
    link: str | None = None
    version: str | None = None
    serving: bool = False
    warnings: int = 0
    note: str | None = None


class History(Record):
    """All that the page of all runs shows.

    Attributes:
        title: a name for them all: the model's, the folder's.
        rows: the newest first.
        left_out: how many older runs there are beside them.
        serving: what serves now, in a few words.
        refresh: seconds between two looks at a page that still changes; None: it doesn't.
    """

    title: str
    rows: tuple[HistoryRow, ...] = ()
    left_out: int = 0
    serving: str | None = None
    refresh: float | None = None
