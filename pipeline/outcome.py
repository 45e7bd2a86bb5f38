"""What became of a run, read from its artifacts."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tfx import types
from tfx.types import artifact_utils

from components import run_events
from components.data_check import executor as data_check
from components.image_example_gen import report as ingestion_report
from components.retrain_check.decision import Decision
from pipeline.comparison_warnings import comparison_warnings
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
    for warning in comparison_warnings(config, facts):
        run_events.warn(warning)
    return compose(facts)


def ended_early(outputs: Outputs) -> bool:
    """Tells whether a run was to end before its training, as there is nothing new to learn."""
    decisions = outputs.get("decision", ())
    return any(not Decision.read(artifact.uri).retrain for artifact in decisions)


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
