"""Likely label errors, by a model that may have learnt from some of these very images."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from components import features, learnt_images
from components.batch_scoring.classifier import Classifier
from components.batch_scoring.model import FoundModel
from components.image_example_gen.checks import RejectedError
from components.image_example_gen.config import DataConfig
from components.image_example_gen.reading import read_image
from components.image_example_gen.records import Checked
from components.image_example_gen.source import Item
from components.run_report.label_issues import find_label_issues, with_pictures
from components.run_report.parts import LabelIssues
from components.run_report.thumbnails import thumbnail_of


def label_issues(
    splits: Mapping[str, Sequence[Checked]],
    model: FoundModel,
    config: DataConfig,
    advance: Callable[[int], object],
) -> LabelIssues:
    """Asks a model for each image, and compares its answers with the labels.

    Args:
        splits: the images that passed the check, by split.
        model: to ask; images of classes that it doesn't know are not judged.
        config: limits, and the name of a record's image.
        advance: is told how many more images were looked at.

    Returns:
        What is likely wrong, with pictures.
    """
    placed = [(image, split) for split, images in splits.items() for image in images]
    known = [(image, split) for image, split in placed if image.item.label in model.classes]
    advance(len(placed) - len(known))
    rows = np.full((len(known), len(model.classes)), np.nan, np.float32)
    classifier = Classifier(model, config)
    for row, answer in enumerate(classifier.answers(image.item for image, _ in known)):
        if answer.probabilities is not None:
            rows[row] = answer.probabilities
        advance(1)
    learnt = _learnt(model, [image for image, _ in known])
    issues = find_label_issues(
        [image.item.id for image, _ in known],
        [image.item.label for image, _ in known],
        rows,
        model.classes,
        method=_method(model, learnt, len(placed) - len(known)),
        splits=[split for _, split in known],
        learnt=learnt,
    )
    shown = {issue.image.id for issue in issues.shown}
    items = [image.item for image, _ in known if image.item.id in shown]
    return with_pictures(issues, {item.id: _picture(item, config) for item in items})


def _picture(item: Item, config: DataConfig) -> str | None:
    try:
        return thumbnail_of(read_image(item, config))
    except RejectedError:  # It was there a moment ago.
        return None


def _learnt(model: FoundModel, images: Sequence[Checked]) -> np.ndarray | None:
    """Bool [images]: which of them the model has learnt from; None where that is not recorded."""
    table = learnt_images.read(model.path / features.EXTRA)
    if table is None:
        return None
    return learnt_images.among(table, (image.facts.content_hash for image in images))


def _method(model: FoundModel, learnt: np.ndarray | None, unknown: int) -> str:
    if learnt is None:
        said = "which may have learnt from them, and then finds few"
    elif learnt.any():
        said = f"which has learnt from {learnt.sum()} of them, and finds fewer among those"
    else:
        said = "which has learnt from none of them"
    left_out = f"; {unknown} of classes that it doesn't know are left out" if unknown else ""
    return f"{model}, {said}{left_out}"
