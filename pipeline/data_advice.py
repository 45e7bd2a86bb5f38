"""What a person should look at before training, beside what ingestion warns of in every run."""

from collections.abc import Iterator, Mapping

from components import features
from components.evaluator.config import EACH, GateConfig, RuleConfig
from components.evaluator.evidence import least_images
from components.run_report.parts import DataPart
from pipeline.data_result import class_counts

_LEAST_OF_A_CLASS = 20  # images to train on; fewer make a class a matter of luck
_MOST_IMBALANCE = 20.0
_LEAST_TO_JUDGE = 100  # test images; fewer leave an accuracy of 0.9 unsure by 6 points or more
_MOST_SMALL = 0.5  # share of the images that are scaled up
_SHOWN = 3


def advice(data: DataPart, gate: GateConfig, small_images: int, image_size: int) -> tuple[str, ...]:
    """Returns what stands out, what spoils the judgement of a model first.

    Args:
        data: what was found.
        gate: the rules that a candidate will have to meet.
        small_images: number of images whose shorter side is less than `image_size`.
        image_size: height and width that the images are trained at, in pixels.
    """
    return (
        *_near_duplicates(data),
        *_judgement(data, gate),
        *_classes(data),
        *_sizes(data, small_images, image_size),
    )


def _near_duplicates(data: DataPart) -> Iterator[str]:
    torn = [p for p in data.near_duplicates if p.first.label != p.second.label]
    if torn:
        yield (
            f"images that look the same have different labels, e.g. '{torn[0].first.id}' is "
            f"'{torn[0].first.label}' and '{torn[0].second.id}' is '{torn[0].second.label}'"
        )


def _judgement(data: DataPart, gate: GateConfig) -> Iterator[str]:
    test = data.images.get(features.TEST, {})
    total = sum(test.values())
    if 0 < total < _LEAST_TO_JUDGE:
        yield (
            f"the test split has {total} images: an accuracy measured on fewer than "
            f"{_LEAST_TO_JUDGE} is unsure by several points. Add images, or raise splits.test"
        )
    unjudged = [label for label in class_counts(data) if not test.get(label)]
    if total and unjudged:
        yield f"{_classes_are(unjudged)} no image in the test split: nothing judges them"
    for rule in gate.rules:
        yield from _rule(rule, test)


def _rule(rule: RuleConfig, test: Mapping[str, int]) -> Iterator[str]:
    """Tells of a rule that refuses every candidate, as too few images could meet it."""
    if rule.few_examples != "refuse" or set(rule.slice) - {features.LABEL}:
        return  # of other columns, how many images have which value is not known here
    needed = rule.min_examples
    # A precision counts answers, and log_loss is no share of images.
    if rule.confidence is not None and rule.metric not in ("precision", "log_loss"):
        needed = max(needed, least_images(rule.max_decline or 0.0, rule.confidence))
    for label, count in _judged(rule, test):
        if count < needed:
            of = "" if label is None else f" of '{label}'"
            yield (
                f"the gate's rule on {rule.metric}{of} would refuse every candidate that is "
                f"compared: it takes {needed} test images, and there are {count}"
            )
            return


def _judged(rule: RuleConfig, test: Mapping[str, int]) -> list[tuple[str | None, int]]:
    label = rule.of_class or rule.slice.get(features.LABEL)
    if label is None:
        return [(None, sum(test.values()))]
    if label == EACH:
        return sorted(test.items(), key=lambda item: (item[1], item[0]))
    return [(label, test.get(label, 0))]


def _classes(data: DataPart) -> Iterator[str]:
    train = data.images.get(features.TRAIN, {})
    counts = class_counts(data)
    few = [label for label in counts if train.get(label, 0) < _LEAST_OF_A_CLASS]
    if few:
        yield (
            f"{_classes_are(few)} fewer than {_LEAST_OF_A_CLASS} images to train on: add some, or "
            "merge classes"
        )
    if len(counts) > 1:
        (most, largest), *_, (least, smallest) = counts.items()
        if smallest and largest / smallest > _MOST_IMBALANCE:
            yield (
                f"'{most}' has {largest / smallest:.0f} times as many images as '{least}': judge "
                "by balanced_accuracy or by a rule for each class, too"
            )


def _sizes(data: DataPart, small_images: int, image_size: int) -> Iterator[str]:
    total = sum(class_counts(data).values())
    if total and small_images / total > _MOST_SMALL:
        yield (
            f"{small_images} of {total} images have a side of fewer than {image_size} pixels, at "
            "which they are trained: they are scaled up, which costs time and adds little. A "
            "smaller transform.image_size may do as well"
        )


def _classes_are(labels: list[str]) -> str:
    shown = ", ".join(f"'{label}'" for label in labels[:_SHOWN])
    if len(labels) == 1:
        return f"class {shown} has"
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return f"{len(labels)} classes ({shown}{more}) have"
