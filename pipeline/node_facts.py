"""What each node found, and what a run came to by that.

The facts of a node are the part of the outcome that it decides, as JSON values. A run on this
machine collects them from its artifacts when it has ended; on a cluster each task leaves its own,
and the last one composes them. Either way there is one way from artifacts to the outcome.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from pydantic_core import from_json, to_json

from components import features
from components.evaluator.verdict import FILE as VERDICT_FILE
from components.evaluator.verdict import Record, Verdict
from components.retrain_check.decision import Decision
from components.serving_validator.report import FILE as SERVING_FILE
from components.serving_validator.report import ServingReport
from pipeline.summary import Failure, Outcome

if TYPE_CHECKING:
    from tfx import types

Facts = dict[str, Any]


class NodeRecord(Record):
    """What a task on a cluster leaves of itself, as OUTPUT/runs/<run id>/nodes/<node>.json.

    Attributes:
        node: as the pipeline names it.
        state: how it ended.
        started: seconds since the epoch.
        seconds: that it took.
        error: why it failed.
        events: what it told while it went on, as `components.run_events` records it.
        facts: what `collect` returned of it.
    """

    node: str
    state: Literal["done", "failed"]
    started: float
    seconds: float
    error: Failure | None = None
    events: tuple[dict[str, Any], ...] = ()
    facts: Facts = Field(default_factory=dict)


def collect(node_id: str, outputs: "Mapping[str, list[types.Artifact]]") -> Facts:
    """Returns what one node found, as JSON values.

    It imports no more than that node's own task has imported by then.

    Args:
        node_id: as the pipeline names it.
        outputs: output artifacts by key; those of other nodes are passed over.

    Returns:
        Fields of `Outcome`, and what its warnings are about; {} for a node that decides nothing of
        it, or left no artifact.
    """
    key, read = _READERS.get(node_id, ("", None))
    artifacts = outputs.get(key)
    if read is None or not artifacts:
        return {}
    return from_json(to_json(read(artifacts[0]), inf_nan_mode="null"))


def collect_all(outputs: "Mapping[str, list[types.Artifact]]") -> dict[str, Facts]:
    """Returns the facts of every node that left an artifact, by node.

    Args:
        outputs: those of all nodes, whose output keys all differ.
    """
    found = {node: collect(node, outputs) for node in _READERS}
    return {node: facts for node, facts in found.items() if facts}


def compose(facts: Mapping[str, Facts], error: Failure | None = None) -> Outcome:
    """Returns what a run came to.

    Args:
        facts: of each node that is known of, by its name; what a missing one decides stays open.
        error: why the run failed, if it did.

    Raises:
        RuntimeError: if no node gave a verdict, and there is no error either.
    """
    told: Facts = {}
    for node in _READERS:
        told |= facts.get(node, {})
    if error is not None:
        told |= {"verdict": "failed", "error": error}
    if "verdict" not in told:
        raise RuntimeError("the pipeline ended without a verdict: its last node never ran")
    return Outcome.model_validate(told)


# The readers import what belongs to their node themselves: the task of one node should not wait
# for the libraries of all others.


def _images(ingestion: "types.Artifact") -> Facts:
    from components.image_example_gen.report import read_report

    report = read_report(ingestion.uri)
    counts = {split: sum(report["images"][split].values()) for split in features.SPLITS}
    return {
        "images": {**counts, "rejected": report["rejected"]["count"]},
        "official_splits": report["official_splits"],
        "grouped": report["grouped"],
    }


def _baseline(baseline: "types.Artifact") -> Facts:
    """The number of the model that serves, and the settings of splits that it was trained with."""
    from tfx.utils import path_utils

    from components.model_versions import Version
    from components.serving_baseline.executor import VERSION_PROPERTY, has_model

    if not has_model(baseline):
        return {"trained_splits": None}
    told = Version(0, Path(path_utils.serving_model_path(baseline.uri))).facts.get("splits")
    return {
        "baseline_version": baseline.get_int_custom_property(VERSION_PROPERTY) or None,
        "trained_splits": None if told is None else from_json(told),
    }


def _decision(artifact: "types.Artifact") -> Facts:
    """Where there is nothing to learn, the run has come to its verdict here."""
    decision = Decision.read(artifact.uri)
    if decision.retrain:
        return {"retrain": decision}
    return {"retrain": decision, "verdict": "unchanged", "pushed_path": decision.serving}


def _search(results: "types.Artifact") -> Facts:
    from trainer.step_up import TABLE_FILE

    return {"search": from_json((Path(results.uri) / TABLE_FILE).read_bytes())}


def _training(model: "types.Artifact") -> Facts:
    from tfx.utils import path_utils

    from components.model_versions import read_training

    saved_model = Path(path_utils.serving_model_path(model.uri))
    return {"backbone": read_training(saved_model).get("backbone")}


def _evaluation(evaluation: "types.Artifact") -> Facts:
    from components.evaluator.measured import OVERALL, read_metrics
    from components.evaluator.rules import slice_name

    candidate, baseline = read_metrics(evaluation.uri)
    verdict = Verdict.read((Path(evaluation.uri) / VERDICT_FILE).read_text(encoding="utf-8"))
    return {
        "rules": verdict.rules,
        "comparison": verdict.comparison,
        "seen": verdict.seen,
        "metrics": {**candidate[OVERALL], **verdict.metrics},
        "baseline": None if baseline is None else {**baseline[OVERALL], **(verdict.baseline or {})},
        "slices": {slice_name(part): dict(row) for part, row in candidate.items() if part},
    }


def _serving(blessing: "types.Artifact") -> Facts:
    """None where the server was not asked, as the gate had refused."""
    report = ServingReport.model_validate_json((Path(blessing.uri) / SERVING_FILE).read_bytes())
    return {"serving": report if report.rules else None}


def _push(pushed: "types.Artifact") -> Facts:
    """The Pusher's word is the verdict: it pushes only what the gate and the server let pass."""
    from components.pusher.executor import DESTINATION_PROPERTY, NEW_PROPERTY, WITHHELD_PROPERTY

    path = pushed.get_string_custom_property(DESTINATION_PROPERTY) or None
    new = pushed.get_int_custom_property(NEW_PROPERTY)
    return {
        "verdict": "refused" if path is None else "pushed" if new else "unchanged",
        "withheld": pushed.get_string_custom_property(WITHHELD_PROPERTY) or None,
        "pushed_path": path,
    }


# By node: the output artifact that tells its facts, and who reads it. In the order of the DAG.
_READERS: "dict[str, tuple[str, Callable[[types.Artifact], Facts]]]" = {
    "ImageExampleGen": ("ingestion", _images),
    "ServingBaseline": ("baseline", _baseline),
    "RetrainCheck": ("decision", _decision),
    "Tuner": ("tuner_results", _search),
    "Trainer": ("model", _training),
    "Evaluator": ("evaluation", _evaluation),
    "ServingValidator": ("infra_blessing", _serving),
    "Pusher": ("pushed_model", _push),
}
