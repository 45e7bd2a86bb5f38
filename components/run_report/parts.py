"""What nodes leave for the report: the data, the training, the evaluation.

A node leaves its part in its artifact, where the cache keeps it, and in the folder of the run,
where it outlives a failure. Thumbnails travel inside, so that the page needs nothing else.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Self, TypeVar

from pydantic import Field, ValidationError

from components import run_events
from components.evaluator.verdict import Record
from components.store import StoreError, open_store

FOLDER = "report"  # in an artifact, and in the run's folder

T = TypeVar("T")


class Thumbnail(Record):
    """A small picture of an image.

    Attributes:
        id: of the image.
        label: that it was given.
        split: that it is in; None where it is in none.
        jpeg: a JPEG of 128 pixels or less a side, in base64; None where it can't be shown.
    """

    id: str
    label: str
    split: str | None = None
    jpeg: str | None = None


class Histogram(Record):
    """Counts of values: `edges` has one more than `counts`, ascending."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class NearDuplicates(Record):
    """Two images that look the same though their files differ.

    Attributes:
        first, second: the images, with their labels and splits.
        distance: of their perceptual hashes, in bits.
    """

    first: Thumbnail
    second: Thumbnail
    distance: int


class LabelIssue(Record):
    """An image whose label is likely wrong.

    Attributes:
        image: with the label that it was given.
        suggested: the label that the probabilities speak for.
        given_probability: of the given label, in [0, 1].
        suggested_probability: of the suggested one.
    """

    image: Thumbnail
    suggested: str
    given_probability: float
    suggested_probability: float


class LabelIssues(Record):
    """Likely label errors, the surest first.

    Attributes:
        judged: how many images were looked at.
        count: how many of them are likely wrong.
        method: in a few words, where the probabilities are from.
        ids: of all that are likely wrong, the surest first (at most 10,000).
        shown: the first of them.
    """

    judged: int
    count: int
    method: str
    ids: tuple[str, ...] = ()
    shown: tuple[LabelIssue, ...] = ()


class Part(Record):
    """One node's part of the report, as JSON in a file of its own."""

    @classmethod
    def file(cls) -> str:
        """The file's name: data.json of a DataPart."""
        return f"{cls.__name__.removesuffix('Part').lower()}.json"

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Reads what was left; None of what is missing, or can't be read."""
        with contextlib.suppress(ValidationError):
            return cls.model_validate_json(text or "")
        return None

    def leave(self, artifact: str) -> None:
        """Writes it to an artifact, and to the run's folder if this process belongs to one.

        Args:
            artifact: its path, or its address where other machines compute for the node.

        Raises:
            StoreError: if it can't be written.
        """
        open_store(artifact).child(FOLDER).write_text(self.file(), self.model_dump_json())
        tell_again(artifact)


def tried(lack: str, make: Callable[[], T], otherwise: T) -> T:
    """Makes something for the report; what a node is there for counts more than that.

    Args:
        lack: what is told where it can't be made: that the report lacks it.
        make: makes it.
        otherwise: what stands for it then.
    """
    try:
        return make()
    except Exception as error:
        logging.getLogger(__name__).exception(lack)
        run_events.warn(f"{lack}: {type(error).__name__}: {error}")
        return otherwise


def tell_again(artifact: str) -> None:
    """Copies the parts in an artifact to the folder of the run that this process belongs to.

    Where that fails the run is warned, and goes on: nothing but its page needs them.
    """
    run = run_events.run_dir()
    if run is None:
        return
    try:
        parts = open_store(artifact).child(FOLDER)
        for name in parts.names():
            parts.fetch(name, run / FOLDER)
    except (OSError, StoreError) as error:
        run_events.warn(f"the report lacks what '{artifact}' holds for it: {error}")


class DataPart(Part):
    """What ingestion found; also what `effnet data` finds without a run.

    Attributes:
        layout: as it was told apart.
        span: the one that was taken, or None.
        images: split -> class -> number of images.
        official_splits: those that the data names.
        grouped: number of images with a group.
        formats: format -> number of images.
        widths, heights: in pixels.
        file_sizes: in bytes.
        brightness: means over the pixels, in [0, 1].
        rejected_count, rejected_share: images that were set aside; the share in [0, 1].
        rejected_by_reason: reason -> number.
        rejected: the first of them, as rows of id, label, reason and detail.
        copies: sets of images of the same content.
        dropped: how many of these were left out of a lesser split.
        contradictory: the same content under several labels: the first rows of ids and labels.
        contradictory_count: how many there are.
        across_splits, within_splits: pairs of images that look the same, by whether their splits
            are the same.
        near_duplicates: the closest of them, those across splits first.
        near_duplicate_ids: all pairs of ids (at most 10,000), in the same order.
        sample: a few images of each class (contact sheet), at most 96 in all.
        label_issues: only `effnet data` with a model tells them here.
    """

    layout: str
    span: str | None = None
    images: Mapping[str, Mapping[str, int]]
    official_splits: tuple[str, ...] = ()
    grouped: int = 0
    formats: Mapping[str, int] = Field(default_factory=dict)
    widths: Histogram | None = None
    heights: Histogram | None = None
    file_sizes: Histogram | None = None
    brightness: Histogram | None = None
    rejected_count: int = 0
    rejected_share: float = 0.0
    rejected_by_reason: Mapping[str, int] = Field(default_factory=dict)
    rejected: tuple[Mapping[str, str], ...] = ()
    copies: int = 0
    dropped: int = 0
    contradictory: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    contradictory_count: int = 0
    across_splits: int = 0
    within_splits: int = 0
    near_duplicates: tuple[NearDuplicates, ...] = ()
    near_duplicate_ids: tuple[tuple[str, str], ...] = ()
    sample: tuple[Thumbnail, ...] = ()
    label_issues: LabelIssues | None = None


class Curve(Record):
    """One stage of the training.

    Attributes:
        stage: what it trained, as the configuration names it.
        train_loss, val_loss, train_accuracy, val_accuracy: by epoch.
        best_epoch: from 0, the one whose weights it ended with.
        seconds: that it took.
    """

    stage: str
    train_loss: tuple[float, ...]
    val_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    val_accuracy: tuple[float, ...]
    best_epoch: int
    seconds: float


class Augmented(Record):
    """A training image, and what augmentation makes of it (JPEGs in base64)."""

    image: Thumbnail
    variants: tuple[str, ...]


class TrainingPart(Part):
    """What the Trainer did.

    Attributes:
        backbone: its name.
        weights: where they are from.
        image_size: of the images that were trained on, in pixels a side.
        parameters: of the whole network.
        trained_parameters: those that the last stage could change.
        curves: of the stages, in their order.
        augmentation: a few training images; () where nothing is augmented.
        label_issues: among the images of train and val; None where it was not looked.
    """

    backbone: str
    weights: str
    image_size: int
    parameters: int
    trained_parameters: int
    curves: tuple[Curve, ...] = ()
    augmentation: tuple[Augmented, ...] = ()
    label_issues: LabelIssues | None = None


class ClassMetrics(Record):
    """How the candidate does on one class of the test split; None where nothing is to divide."""

    label: str
    images: int
    precision: float | None
    recall: float | None
    f1: float | None


class Confusion(Record):
    """Answers by true class.

    Attributes:
        classes: names in the order of rows (true) and columns (answered).
        counts: images [true][answered]; of at most 40 classes. None with more of them.
        pairs: the most frequent mistakes: true class, answered class, images.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...] | None
    pairs: tuple[tuple[str, str, int], ...] = ()


class ReliabilityBin(Record):
    """Test images whose score lies in (low, high]: their number, mean score, and share right."""

    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: float | None


class Answer(Record):
    """What the candidate answered to a test image.

    Attributes:
        image: with its true label.
        predicted: the label that was answered.
        score: its probability.
        label_probability: that of the true label; None of a class that the model doesn't know.
        top: the likeliest labels with their probabilities, at most five.
        activation: the image under a heat map of what spoke for the answer (a JPEG in base64, as
            large as the thumbnail); None where it was not computed.
    """

    image: Thumbnail
    predicted: str
    score: float
    label_probability: float | None = None
    top: tuple[tuple[str, float], ...] = ()
    activation: str | None = None


class EvaluationPart(Part):
    """What the candidate answered to the test images.

    Images of a class that it doesn't know count nowhere; they are among the mistakes, though.

    Attributes:
        images: test images of classes that it knows.
        accuracy: on them, in [0, 1].
        accuracy_interval: with 95 % confidence (Wilson's).
        by_class: every class, the one with the most images first.
        confusion: answers by true class.
        reliability: by score, ascending.
        expected_calibration_error: from the same bins.
        mistakes: the most confident wrong answers.
        hesitant: the least certain right ones.
        explained: right and wrong answers, each with its activation.
        label_issues: among the test images; None where it was not looked.
        unknown_images: test images of other classes.
    """

    images: int
    unknown_images: int = 0
    accuracy: float
    accuracy_interval: tuple[float, float] | None = None
    by_class: tuple[ClassMetrics, ...] = ()
    confusion: Confusion | None = None
    reliability: tuple[ReliabilityBin, ...] = ()
    expected_calibration_error: float | None = None
    mistakes: tuple[Answer, ...] = ()
    hesitant: tuple[Answer, ...] = ()
    explained: tuple[Answer, ...] = ()
    label_issues: LabelIssues | None = None
