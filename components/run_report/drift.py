"""How far the data have moved since the last run: shares of classes, sizes, brightness."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency

from components.evaluator.verdict import Record
from components.run_report.parts import DataPart, Histogram

HISTOGRAMS = {
    "widths": "Width, pixels",
    "heights": "Height, pixels",
    "file_sizes": "Size of the file, bytes",
    "brightness": "Brightness",
}
# Where the distance, which lies in [0, 1], begins to deserve each word.
_WORDS = ((0.2, "marked"), (0.1, "moderate"), (0.025, "slight"))
_CHANCE = 0.01


class Shift(Record):
    """How one thing differs between two sets of data.

    Attributes:
        what: its name.
        distance: Jensen-Shannon's, to the base 2, in [0, 1].
        word: none, slight, moderate or marked; none too where chance explains it.
    """

    what: str
    distance: float
    word: str


class ClassShift(Record):
    """The share of one class among all images, in [0, 1]; None where it is absent."""

    label: str
    before: float | None
    now: float | None

    @property
    def change(self) -> float:
        """By how much the share has grown."""
        return (self.now or 0.0) - (self.before or 0.0)


def shifts(before: DataPart, now: DataPart) -> list[Shift]:
    """Compares what both have, the classes first."""
    labels, *counts = _aligned(before, now)
    found = [_shift("Share of each class", *counts)] if labels else []
    for name, title in HISTOGRAMS.items():
        pair = comparable(before, now, name)
        if pair is not None:
            found.append(_shift(title, pair[0].counts, pair[1].counts))
    return found


def comparable(before: DataPart, now: DataPart, name: str) -> tuple[Histogram, Histogram] | None:
    """The histograms of a name, if both are there, have the same edges, and are not empty."""
    old, new = getattr(before, name), getattr(now, name)
    if old is None or new is None or old.edges != new.edges:
        return None
    return (old, new) if sum(old.counts) and sum(new.counts) else None


def class_shifts(before: DataPart, now: DataPart) -> list[ClassShift]:
    """Every class, the one whose share has moved most first."""
    labels, old, new = _aligned(before, now)
    rows = [
        ClassShift(
            label=label,
            before=then / sum(old) if then else None,
            now=at_last / sum(new) if at_last else None,
        )
        for label, then, at_last in zip(labels, old, new, strict=True)
    ]
    return sorted(rows, key=lambda row: (-abs(row.change), row.label))


def class_counts(data: DataPart) -> dict[str, int]:
    """Images of each class in all splits."""
    counts: dict[str, int] = {}
    for label, images in chain.from_iterable(split.items() for split in data.images.values()):
        counts[label] = counts.get(label, 0) + images
    return counts


def _aligned(before: DataPart, now: DataPart) -> tuple[list[str], list[int], list[int]]:
    old, new = class_counts(before), class_counts(now)
    if not sum(old.values()) or not sum(new.values()):
        return [], [], []
    labels = sorted(old | new)
    return labels, _counts(old, labels), _counts(new, labels)


def _counts(counts: Mapping[str, int], labels: Sequence[str]) -> list[int]:
    return [counts.get(label, 0) for label in labels]


def _shift(what: str, before: Sequence[int], now: Sequence[int]) -> Shift:
    table = np.array([before, now], dtype=float)
    table = table[:, table.sum(axis=0) > 0]
    # Rounding may leave the distance of equal shares a little off 0, or not a number.
    distance = round(float(np.nan_to_num(jensenshannon(*table, base=2))), 6)
    by_chance = table.shape[1] < 2 or chi2_contingency(table).pvalue > _CHANCE
    return Shift(what=what, distance=distance, word=_word(distance, by_chance))


def _word(distance: float, by_chance: bool) -> str:
    if by_chance:
        return "none"
    return next((word for least, word in _WORDS if distance >= least), "none")


def histograms(data: DataPart) -> list[tuple[str, str, Histogram]]:
    """Name, title and values of the histograms that count any image."""
    told = [(name, title, getattr(data, name)) for name, title in HISTOGRAMS.items()]
    return [row for row in told if row[2] is not None and sum(row[2].counts)]


def bins(histogram: Histogram) -> list[tuple[float, float, int]]:
    """Low and high edge, and number, of those bins that count any image."""
    edges = zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False)
    return [row for row in edges if row[2]]
