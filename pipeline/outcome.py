"""What became of a run, read from its artifacts."""

from collections.abc import Mapping

from tfx import types
from tfx.components.evaluator import constants as evaluator_constants

from components import features
from components.image_example_gen.report import read_report
from components.pusher.executor import DESTINATION_PROPERTY, NEW_PROPERTY
from pipeline import gate
from pipeline.config import GateConfig
from pipeline.summary import Images, Outcome


def read_outcome(config: GateConfig, outputs: Mapping[str, list[types.Artifact]]) -> Outcome:
    """Returns verdict, rules, metrics, images and the pushed path of a finished run.

    Args:
        config: the gate's rules.
        outputs: the run's artifacts by output key.

    Raises:
        RuntimeError: if a node was passed over, or the gate's parts contradict each other.
    """
    needed = ("ingestion", "evaluation", "blessing", "pushed_model")
    missing = [key for key in needed if key not in outputs]
    if missing:
        raise RuntimeError(f"the pipeline ended without its outputs {', '.join(missing)}")
    evaluation = gate.read_evaluation(outputs["evaluation"][0].uri)
    rules = gate.judge(config, evaluation)
    blessed = outputs["blessing"][0].get_int_custom_property(
        evaluator_constants.ARTIFACT_PROPERTY_BLESSED_KEY
    )
    if bool(blessed) != all(rule.passed for rule in rules):
        # The push follows the blessing; a report that says otherwise must not pass unnoticed.
        raise RuntimeError(f"the Evaluator's blessing ({blessed}) contradicts the rules: {rules}")
    pushed = outputs["pushed_model"][0]
    new = pushed.get_int_custom_property(NEW_PROPERTY)
    candidate, baseline = evaluation.candidate, evaluation.baseline
    return Outcome(
        verdict="refused" if not blessed else "pushed" if new else "unchanged",
        rules=tuple(rules),
        metrics=dict(candidate[gate.OVERALL]),
        baseline=None if baseline is None else dict(baseline[gate.OVERALL]),
        slices={gate.slice_name(part): dict(row) for part, row in candidate.items() if part},
        images=image_counts(outputs["ingestion"][0].uri),
        pushed_path=pushed.get_string_custom_property(DESTINATION_PROPERTY) or None,
    )


def image_counts(ingestion_uri: str) -> Images:
    """Returns the number of images by split, and of those set aside."""
    report = read_report(ingestion_uri)
    counts = {split: sum(report["images"][split].values()) for split in features.SPLITS}
    return Images(**counts, rejected=report["rejected"]["count"])
