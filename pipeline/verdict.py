"""The last lines of a run: what came out, why, and what to do next."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from components.evaluator.verdict import Comparison, Rule
from components.retrain_check.decision import Decision
from components.run_report.wording import duration
from components.serving_validator.report import ServingReport
from pipeline.layout import Output, RunFolder
from pipeline.summary import Search, Summary
from pipeline.terminal import STYLES, Rows, images_line, print_text, printable

_STYLES = {"pushed": "bold green", "unchanged": "bold", "refused": "bold yellow"}
_MAX_METRICS = 6


def print_verdict(console: Console, summary: Summary, output: Output | None) -> None:
    """Prints the verdict; what came from users is text, and paths stay in one piece.

    Args:
        console: where.
        summary: the run's.
        output: its output folder; None of a run on a cluster.
    """
    console.print()
    run = output.run(summary.run_id) if output else RunFolder(Path(summary.run_id))
    for part in _parts(summary, run):
        if isinstance(part, Rows):
            part.print(console)
        else:
            print_text(console, part)


def _parts(summary: Summary, run: RunFolder) -> Iterator[Text | Rows]:
    style = _STYLES.get(summary.verdict, STYLES["failed"])
    took = duration(summary.seconds["total"])
    yield Text.assemble((summary.verdict, style), f"  run {run.id}, {took}")
    if summary.retrain is not None:
        yield _text(f"looked at first: {_heading(summary.retrain)}")
        yield _findings(summary.retrain)
    if summary.search is not None:
        yield from _search(summary.search)
    if summary.rules:
        yield _rules(summary.rules)
    if summary.serving is not None:
        failed = tuple(rule for rule in summary.serving.rules if not rule.passed)
        yield _rules(failed) if failed else _text(_serving(summary.serving))
    if summary.comparison is not None:
        yield _text(_comparison(summary.comparison))
    if summary.metrics:
        yield _text(f"test split: {_metrics(summary)}")
    counts = summary.images.model_dump()
    if None not in counts.values():
        yield _text(images_line(counts))
    if summary.pushed_path:
        yield _text(
            f"{'pushed' if summary.verdict == 'pushed' else 'serving'}: {summary.pushed_path}"
        )
    if summary.withheld is not None:
        yield _text(f"passed the gate, but was not pushed: {summary.withheld}", _STYLES["refused"])
    if summary.error is not None:
        yield _text(summary.error.message, STYLES["failed"], lines=True)
    if summary.kubeflow_run is None:
        yield _text(f"report: {run.report}")
    yield _text(f"next: {next_step(summary, run)}")


def _heading(decision: Decision) -> str:
    if decision.forced:
        return "what is new since the model that serves (training was asked for in any case)"
    if decision.retrain:
        return "what is new since the model that serves"
    return "nothing is new that pays a training"


def _findings(decision: Decision) -> Rows:
    return Rows(
        (
            Text(
                "  pays" if finding.pays else "  does not", STYLES["done"] if finding.pays else ""
            ),
            _text(finding.what),
            _text(finding.found),
            _text(finding.bound or ""),
        )
        for finding in decision.findings
    )


def _search(search: Search) -> Iterator[Text]:
    """A line for each member that was tried, and why the search ended."""
    for trial in search.trials:
        accuracy = trial["val_accuracy"]
        found = trial["problem"] if accuracy is None else f"val accuracy {accuracy:.4f}"
        yield _text(f"  tried {trial['backbone']}, {trial['weights']}: {found}")
    yield _text(f"  the search ended: {search.stopped}")


def _text(text: str, style: str = "", lines: bool = False) -> Text:
    """Returns text as it is; `lines` keeps the ends of lines of our own messages."""
    parts = text.split("\n") if lines else [text]
    return Text("\n".join(printable(part) for part in parts), style)


def _rules(rules: tuple[Rule, ...]) -> Rows:
    return Rows(
        (
            Text("  passed", STYLES["done"]) if rule.passed else Text("  FAILED", STYLES["failed"]),
            _text(rule.metric),
            _text(rule.slice or "all"),
            _text(_value(rule)),
            _text(str(rule.bound)),
        )
        for rule in rules
    )


def _value(rule: Rule) -> str:
    if rule.value is None:
        return rule.reason or "no value"
    interval = "" if rule.interval is None else " [{:+.4f}, {:+.4f}]".format(*rule.interval)
    reason = f" ({rule.reason})" if rule.reason else ""
    return f"{rule.value:.4f}{interval}{reason}"


def _serving(report: ServingReport) -> str:
    """The check on a real server that was passed, in a line."""
    measured = ""
    if report.latency is not None:
        measured = (
            f"; p95 {report.latency.p95_ms:.1f} ms, {report.images_per_second:.0f} images a "
            f"second, {report.memory_mb:.0f} MB"
        )
    return f"on a real server: {len(report.rules)} checks passed{measured}"


def _comparison(found: Comparison) -> str:
    """The evidence that one of two models is better, image by image."""
    interval = "" if found.interval is None else " [{:+.4f}, {:+.4f}]".format(*found.interval)
    return (
        f"against the model that serves, on {found.images} images: accuracy "
        f"{found.difference:+.4f}{interval}, right alone on {found.only_candidate} against "
        f"{found.only_baseline}, p {found.p_value:.2g}"
    )


def _metrics(summary: Summary) -> str:
    told = {name: value for name, value in summary.metrics.items() if name != "examples"}
    known = [(name, value) for name, value in told.items() if value is not None]
    return ", ".join(f"{name} {value:.4f}" for name, value in known[:_MAX_METRICS])


def next_step(summary: Summary, run: RunFolder) -> str:
    """Says what a person may do now, in a sentence."""
    if summary.verdict == "pushed":
        return (
            "a server that watches the folder above this version loads it by itself; "
            "'effnet models rollback' goes back"
        )
    if summary.retrain is not None and not summary.retrain.retrain:
        return (
            "nothing; what is new does not pay a training. '--force' trains all the same, and "
            "retrain in the configuration says when one pays"
        )
    if summary.verdict == "unchanged":
        return "nothing; this very model serves already. Other data or settings make a new one"
    if summary.withheld is not None:
        return (
            "what served before still serves. 'effnet models list' shows it; once pushing is right "
            "again, the same command takes what is finished from the cache"
        )
    if summary.serving is not None and not summary.serving.passed:
        return (
            f"nothing was pushed, and what served before still serves. What the server "
            f"logged is in {summary.serving.log}. If a budget asks too much, change serving.check"
        )
    if summary.verdict == "refused":
        return (
            "nothing was pushed, and what served before still serves. Give it more or cleaner "
            "images, change trainer's settings, or, if a bound asks too much, gate.rules"
        )
    if summary.error is not None and summary.error.kind == "input":
        return "mend what is named above and run the same command again"
    if summary.kubeflow_run is not None:
        return f"see the logs of its tasks in Kubeflow, run {summary.kubeflow_run}"
    return f"see {run.log}; the same command goes on from the nodes that finished"
