"""What a run's page says first: why it came out so, and the numbers that stand for it."""

from components.evaluator.verdict import Comparison, Rule
from components.run_report import wording
from components.run_report.facts import Node, RunReport


def failed_node(report: RunReport) -> str | None:
    """The node that the run failed in."""
    return next((node.name for node in report.nodes if node.state == "failed"), None)


def why(report: RunReport) -> str:
    """Why the run came out so, in a sentence."""
    summary = report.summary
    if summary.verdict == "running":
        at_work = [node.name for node in report.nodes if node.state == "running"]
        return f"It is at {', '.join(at_work)}." if at_work else "It has just begun."
    if summary.verdict == "failed":
        where = failed_node(report)
        return f"It came to no verdict: {where} failed." if where else "It came to no verdict."
    if summary.withheld is not None:
        return f"It passed the gate, but was not pushed: {summary.withheld}."
    if summary.verdict == "unchanged":
        if summary.retrain is not None and not summary.retrain.retrain:
            return "Nothing is new that pays a training."
        return "This very model serves already."
    failed = [rule for rule in summary.rules if not rule.passed]
    if failed:
        verb = "was" if len(failed) == 1 else "were"
        bounds = f"{len(failed)} of {len(summary.rules)} bounds of the gate"
        return f"{bounds} {verb} not met: {_what(failed)}."
    if summary.serving is not None and not summary.serving.passed:
        unmet = [rule for rule in summary.serving.rules if not rule.passed]
        return f"It met the gate, but not the check on a real server: {_what(unmet)}."
    met = f"All {len(summary.rules)} bounds" if len(summary.rules) > 1 else "The bound"
    return f"{met} of the gate {'were' if len(summary.rules) > 1 else 'was'} met.{_against(report)}"


def _what(rules: list[Rule]) -> str:
    told = [_unmet(rule) for rule in rules[:2]]
    more = f" and {len(rules) - 2} more" if len(rules) > 2 else ""
    return "; ".join(told) + more


def _unmet(rule: Rule) -> str:
    of = f" of {rule.slice}" if rule.slice else ""
    if rule.value is None:
        return f"{rule.metric}{of}: {rule.reason or 'no value'}"
    asked = "" if rule.bound is None else f", asked for {rule.bound}"
    return f"{rule.metric}{of} is {wording.measured(rule)}{asked}"


def _against(report: RunReport) -> str:
    found = report.summary.comparison
    if found is None:
        return ""
    surely = found.interval is not None and (found.interval[0] > 0 or found.interval[1] < 0)
    doubt = "" if surely else ", which may be chance"
    return (
        f" Against the model that served before, accuracy differs by "
        f"{wording.points(found.difference)} points{doubt}."
    )


def nodes(report: RunReport) -> list[Node]:
    """The nodes, by default those whose seconds are known."""
    if report.nodes:
        return list(report.nodes)
    told = report.summary.seconds.items()
    return [Node(name=name, seconds=seconds) for name, seconds in told if name != "total"]


def key_figures(report: RunReport) -> list[tuple[str, str, str]]:
    """Rows of a name, a value, and a remark; only what is known."""
    return [row for row in _figures(report) if row[1] != wording.NONE]


def _figures(report: RunReport) -> list[tuple[str, str, str]]:
    summary, judged = report.summary, report.evaluation
    accuracy = judged.accuracy if judged and judged.images else summary.metrics.get("accuracy")
    interval = judged.accuracy_interval if judged else None
    against, server = summary.comparison, summary.serving
    images = [summary.images.get(split) for split in ("train", "val", "test")]
    counted = [number for number in images if number is not None]
    latency = server.latency if server else None
    return [
        (
            "Accuracy",
            wording.share(accuracy),
            f"95 %: {wording.interval(interval)}" if interval else "",
        ),
        (
            "Against what served",
            wording.points(against.difference if against else None),
            f"points{_confidence(against)}" if against else "",
        ),
        ("Answer, 95th percentile", f"{latency.p95_ms:.0f} ms" if latency else wording.NONE, ""),
        (
            "Images",
            wording.count(sum(counted) if len(counted) == len(images) else None),
            " / ".join(wording.count(number) for number in images) + " train / val / test",
        ),
        ("Took", wording.duration(summary.seconds.get("total")), ""),
    ]


def _confidence(found: Comparison) -> str:
    return "" if found.interval is None else f", 95 %: {wording.pointed(found.interval)}"


def made(report: RunReport) -> list[tuple[str, str]]:
    """Rows of what made the model: its data, its network, its seed."""
    trained, summary = report.training, report.summary
    rows = list(report.lineage) or _lineage(report)
    if trained is not None:
        rows += [
            ("Backbone", f"{trained.backbone}, {trained.image_size} pixels a side"),
            ("Weights", trained.weights),
            ("Parameters", wording.count(trained.parameters)),
            ("Trained by the last stage", wording.count(trained.trained_parameters)),
        ]
    elif summary.backbone is not None:
        rows.append(("Backbone", summary.backbone))
    if report.seed is not None:
        rows.append(("Seed", str(report.seed)))
    return rows


def _lineage(report: RunReport) -> list[tuple[str, str]]:
    summary = report.summary
    rows = [
        ("Data", summary.data),
        ("Model", summary.pushed_path),
        ("Run on Kubeflow", summary.kubeflow_run),
    ]
    return [(what, which) for what, which in rows if which]
