"""What makes the comparison with the model that serves less than it seems."""

from collections.abc import Iterator, Mapping

from components import features
from components.evaluator.verdict import Comparison, Verdict
from pipeline.config import PipelineConfig
from pipeline.node_facts import Facts

_NEEDED = {"ImageExampleGen", "ServingBaseline", "Evaluator"}


def comparison_warnings(config: PipelineConfig, facts: Mapping[str, Facts]) -> Iterator[str]:
    """Yields it in words.

    Args:
        config: the run's.
        facts: what its nodes found, by node.
    """
    if not facts.keys() >= _NEEDED:  # of a run that failed
        return
    verdict = Verdict.model_validate(facts["Evaluator"])
    if verdict.comparison is not None:
        yield from _class_changes(verdict.comparison)
    if verdict.baseline is None:  # Nothing serves, or the very model.
        return
    if verdict.seen is not None:
        if verdict.seen:
            yield _seen(verdict.seen, verdict.comparison, config)
        return
    trained_by = facts["ServingBaseline"]["trained_splits"]
    yield from _unrecorded(facts["ImageExampleGen"], trained_by, config)


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


def _unrecorded(ingestion: Facts, trained_by: object, config: PipelineConfig) -> Iterator[str]:
    """Of a serving model that was pushed without that record: whether it may have seen test."""
    may = "so it may have seen images that test holds now, and do better on them than it should"
    official, grouped = ingestion["official_splits"], ingestion["grouped"]
    settings = config.splits.model_dump(mode="json")
    if trained_by not in (None, settings) and not set(features.SPLITS) <= set(official):
        yield f"the model that serves was trained with other settings of splits, {may}"
    elif trained_by is None or official or grouped:
        decided = "official splits" if official else "groups" if grouped else "settings"
        yield (
            "it is not recorded which images the model that serves has learnt from, nor whether "
            f"the {decided} were those of today, {may}"
        )
