"""The card of a pushed model, in Markdown: what it is for, how good it is, and how it was made.

Source: Mitchell et al. 2019, "Model Cards for Model Reporting", whose headings it has.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jinja2
from scipy import stats

from components.evaluator.verdict import Verdict
from components.features import LABEL, SPLITS
from components.run_report.card_config import CardConfig
from components.run_report.parts import (
    ClassMetrics,
    DataPart,
    EvaluationPart,
    LabelIssues,
    TrainingPart,
)
from components.serving_validator.report import ServingReport

FILE = "model_card.md"
_TEMPLATE = "model_card.md.j2"
_MOST_ROWS = 40  # of a table
_FEW = 20  # test images
_NONE = "\N{EN DASH}"  # where there is no value
# The licences of the weights whose source tells one.
_WEIGHTS = {
    "imagenet": "pretrained on ImageNet (Apache-2.0)",
    "noisy-student": "Noisy Student, pretrained on ImageNet and JFT-300M (Apache-2.0)",
    "serving": "those of the model that served before",
    "none": "random",
}
# Marks of Markdown and of HTML, what links itself, and what turns the direction of text around.
_ENTITIES = re.compile(
    r"[&<|`@\[\]*~$\\#]|(?<=:)//|(?<=www)\.|(?<![^\W_])_|_(?![^\W_])", re.IGNORECASE
)
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class _Ready(str):
    """Text of the template's own making."""


class Group(NamedTuple):
    """Test images that share a column's value: their number, and the share that was right."""

    column: str
    value: str
    images: int
    accuracy: float | None


class ClassRow(NamedTuple):
    """A class that the model knows, and its images by split."""

    name: str
    train: int
    val: int
    test: int


@dataclass(frozen=True)
class CardFacts:
    """What a card is made of.

    Attributes:
        name: of the model.
        run_id: of the run that pushes it.
        config: what people say of it.
        data: where its images are from, or "".
        digest: hex SHA-256 of the settings and the code that it was trained by.
        seed: of the training; None where it is not known.
        versions: of the libraries.
        training: backbone, weights, classes and stages, as kept with the model.
        ingestion: what ingestion found: images by split and class, span, and so on.
        verdict: of the gate.
        metrics: on all test images.
        groups: on those of each class and of each further slice.
        serving: what the check on a server found; None where it is off.
        found: what ingestion left for the report.
        trained: what the Trainer did.
        evaluation: what the Evaluator did.
    """

    name: str
    run_id: str
    config: CardConfig
    data: str
    digest: str
    seed: int | None
    versions: Mapping[str, str]
    training: Mapping[str, Any]
    ingestion: Mapping[str, Any]
    verdict: Verdict
    metrics: Mapping[str, float | None]
    groups: tuple[Group, ...] = ()
    serving: ServingReport | None = None
    found: DataPart | None = None
    trained: TrainingPart | None = None
    evaluation: EvaluationPart | None = None

    @property
    def weights(self) -> str:
        """The weights that training began from, with their licence where it is known."""
        name = str(self.training.get("weights", "unknown"))
        return _WEIGHTS.get(name, name)

    @property
    def classes(self) -> list[str]:
        """The classes that it knows."""
        return [str(name) for name in self.training.get("classes", ())]

    @property
    def images(self) -> dict[str, int]:
        """Split -> number of images."""
        return {split: sum(found.values()) for split, found in self._images.items()}

    @property
    def rows(self) -> list[ClassRow]:
        """The classes, those with the most images first."""
        rows = [
            ClassRow(name, *(self._images.get(split, {}).get(name, 0) for split in SPLITS))
            for name in self.classes
        ]
        return sorted(rows, key=lambda row: (-row.train - row.val - row.test, row.name))

    @property
    def judged(self) -> list[ClassMetrics]:
        """How it does on each class, the one with the most test images first."""
        if self.evaluation is not None:
            return list(self.evaluation.by_class)
        found = [
            ClassMetrics(label=g.value, images=g.images, precision=None, recall=g.accuracy, f1=None)
            for g in self.groups
            if g.column == LABEL
        ]
        return sorted(found, key=lambda metrics: (-metrics.images, metrics.label))

    @property
    def slices(self) -> list[Group]:
        """The groups but for the classes, the largest first."""
        found = [group for group in self.groups if group.column != LABEL]
        return sorted(found, key=lambda group: (group.column, -group.images, group.value))

    @property
    def weakest(self) -> list[Group]:
        """Up to five groups of test images that it does surely worse on than on all of them."""
        overall = self.metrics.get("accuracy")
        if overall is None:
            return []
        worse = [group for group in self.groups if _highest(group) < overall]
        return sorted(worse, key=lambda group: (group.accuracy, group.column, group.value))[:5]

    @property
    def few(self) -> list[str]:
        """The classes with so few test images that little can be said of them."""
        return [row.name for row in self.rows if row.test < _FEW]

    @property
    def label_issues(self) -> list[tuple[str, LabelIssues]]:
        """Where likely label errors were looked for, and what was found."""
        looked = (("train and val", self.trained), ("test", self.evaluation))
        return [(where, part.label_issues) for where, part in looked if part and part.label_issues]

    @property
    def _images(self) -> Mapping[str, Mapping[str, int]]:
        return self.ingestion.get("images", {})


def _highest(group: Group) -> float:
    """The upper end of the interval of a group's accuracy."""
    if group.accuracy is None or not group.images:
        return 1.0
    return _wilson(group.accuracy, group.images)[1]


def render(facts: CardFacts) -> str:
    """Returns the card; the same facts give the same one. What users named is shown as text."""
    text = _template().render(facts=facts, most=_MOST_ROWS)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def plain(value: Any) -> Any:
    """Escapes a text for a place within a line of Markdown, not at its start, or within a cell.

    Marks become HTML's entities, which every renderer shows as the characters that they are; line
    breaks and control characters become spaces. Text of another direction is kept apart from
    what stands around it.
    """
    if not isinstance(value, str) or isinstance(value, _Ready):
        return value
    spaced = "".join(c if c.isprintable() or _TURNS.match(c) else " " for c in value)
    text = " ".join(_TURNS.sub("", spaced).split())
    return f"\u2068{_escape(text)}\u2069" if _is_mixed(text) else _escape(text)


def _escape(text: str) -> str:
    return _ENTITIES.sub(lambda mark: "".join(f"&#{ord(c)};" for c in mark[0]), text)


def _is_mixed(text: str) -> bool:
    return any(unicodedata.bidirectional(c) in ("R", "AL") for c in text)


def _share(value: float | None) -> _Ready:
    """0.8853 as 88.5 %."""
    return _Ready(_NONE if value is None else f"{100 * value:.1f} %")


def _number(value: float | None) -> _Ready:
    """Whole numbers with their thousands apart, others rounded."""
    if value is None:
        return _Ready(_NONE)
    if float(value).is_integer():
        return _Ready(f"{value:,.0f}")
    return _Ready(f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}")


def _points(value: float) -> _Ready:
    """A difference of shares, 0.0123 as +1.2."""
    return _Ready(f"{100 * value:+.1f}")


def _interval(accuracy: float | None, images: float | None) -> _Ready:
    """With 95 % confidence, of a share of so many images."""
    if accuracy is None or not images:
        return _Ready(_NONE)
    low, high = _wilson(accuracy, int(images))
    return _Ready(f"{100 * low:.1f} to {100 * high:.1f} %")


def _wilson(accuracy: float, images: int) -> tuple[float, float]:
    """Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    With 95 % confidence.
    """
    found = stats.binomtest(round(accuracy * images), images).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("components.run_report"),
        # Not HTML, but for what users named: each value passes through here.
        finalize=plain,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "share": _share,
        "number": _number,
        "points": _points,
        "interval": _interval,
    }
    return environment.get_template(_TEMPLATE)
