"""What became of a run, read from its artifacts."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfx import types
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import features, run_events
from components.data_check import executor as data_check
from components.evaluator.verdict import Comparison, Verdict
from components.image_example_gen import report as ingestion_report
from components.model_versions import Version
from components.retrain_check.decision import Decision
from components.serving_baseline.executor import has_model
from pipeline.config import PipelineConfig
from pipeline.layout import RunFolder
from pipeline.node_facts import collect_all, compose
from pipeline.progress import Progress
from pipeline.summary import Outcome
from trainer.step_up import TABLE_FILE

Outputs = Mapping[str, list[types.Artifact]]


def read_outcome(config: PipelineConfig, outputs: Outputs) -> Outcome:
    """Returns verdict, rules, metrics, images and the pushed path of a finished run.

    Args:
        config: the run's.
        outputs: the run's artifacts by output key.

    Raises:
        RuntimeError: if a node was passed over.
    """
    if ended_early(outputs):
        return compose(collect_all(outputs))
    needed = ("ingestion", "model", "evaluation", "blessing", "pushed_model", "baseline")
    missing = [key for key in needed if key not in outputs]
    if missing:
        raise RuntimeError(f"the pipeline ended without its outputs {', '.join(missing)}")
    facts = collect_all(outputs)
    verdict = Verdict.model_validate(facts["Evaluator"])
    for warning in _comparison_warnings(config, verdict, outputs):
        run_events.warn(warning)
    return compose(facts)


def ended_early(outputs: Outputs) -> bool:
    """Tells whether a run was to end before its training, as there is nothing new to learn."""
    decisions = outputs.get("decision", ())
    return any(not Decision.read(artifact.uri).retrain for artifact in decisions)


def _model_path(models: list[types.Artifact]) -> Path:
    return Path(path_utils.serving_model_path(artifact_utils.get_single_uri(models)))


def _comparison_warnings(
    config: PipelineConfig, verdict: Verdict, outputs: Outputs
) -> Iterator[str]:
    """Yields what makes the comparison with the model that serves less than it seems."""
    if verdict.comparison is not None:
        yield from _class_changes(verdict.comparison)
    if verdict.baseline is None:  # Nothing serves, or the very model.
        return
    if verdict.seen is not None:
        if verdict.seen:
            yield _seen(verdict.seen, verdict.comparison, config)
        return
    report = ingestion_report.read_report(artifact_utils.get_single_uri(outputs["ingestion"]))
    trained_by = _splits_of_baseline(artifact_utils.get_single_instance(outputs["baseline"]))
    yield from _unrecorded(report, trained_by, config)


def _class_changes(comparison: Comparison) -> Iterator[str]:
    new, dropped = comparison.new_classes, comparison.dropped_classes
    if new or dropped:
        changes = [f"new: {', '.join(new)}"] * bool(new)
        changes += [f"no longer there: {', '.join(dropped)}"] * bool(dropped)
        yield (
            f"the classes have changed ({'; '.join(changes)}): the model that serves knows those "
            f"of {comparison.images} of {comparison.images + comparison.left_out} test images, "
            "and the two were compared on those"
        )


def _seen(seen: int, comparison: Comparison | None, config: PipelineConfig) -> str:
    """Of a serving model whose training images are recorded: how many of test are among them."""
    text = (
        f"the model that serves has learnt from {seen} of the test images of today, and may do "
        "better on them than it should"
    )
    unseen = None if comparison is None else comparison.unseen
    if unseen is not None:
        interval = "" if unseen.interval is None else " [{:+.4f}, {:+.4f}]".format(*unseen.interval)
        text += f"; on {unseen.images} others the difference is {unseen.difference:+.4f}{interval}"
    if config.trainer.warm_start == "serving":
        text += "; the candidate began from it (trainer.warm_start), so the same holds of itself"
    return text


def _unrecorded(
    report: ingestion_report.Report, trained_by: object, config: PipelineConfig
) -> Iterator[str]:
    """Of a serving model that was pushed without that record: whether it may have seen test."""
    may = "so it may have seen images that test holds now, and do better on them than it should"
    official = report["official_splits"]
    settings = config.splits.model_dump(mode="json")
    if trained_by not in (None, settings) and not set(features.SPLITS) <= set(official):
        yield f"the model that serves was trained with other settings of splits, {may}"
    elif trained_by is None or official or report["grouped"]:
        decided = "official splits" if official else "groups" if report["grouped"] else "settings"
        yield (
            "it is not recorded which images the model that serves has learnt from, nor whether "
            f"the {decided} were those of today, {may}"
        )


def _splits_of_baseline(baseline: types.Artifact) -> object:
    """Returns the settings of splits that the model which served was trained with, if told."""
    if not has_model(baseline):
        return None
    told = Version(0, _model_path([baseline])).facts.get("splits")
    return None if told is None else json.loads(told)


def tell_again(outputs: Outputs, progress: Progress) -> None:
    """Tells what nodes that were taken from the cache said when they ran."""
    cached = {node.name for node in progress.nodes.values() if node.state == "cached"}
    if "ImageExampleGen" in cached and "ingestion" in outputs:
        ingestion_report.tell_again(artifact_utils.get_single_uri(outputs["ingestion"]))
    if "DataCheck" in cached and "findings" in outputs:
        data_check.tell_again(artifact_utils.get_single_uri(outputs["findings"]))


def keep_search(outputs: Outputs, run: RunFolder) -> None:
    """Puts the search's table and plot, if there was one, beside the run's summary."""
    if "tuner_results" in outputs:
        folder = Path(artifact_utils.get_single_uri(outputs["tuner_results"]))
        for file in folder.glob(f"{Path(TABLE_FILE).stem}.*"):
            shutil.copy(file, run.path)
