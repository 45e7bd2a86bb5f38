"""Rules of the gate: what a candidate must reach on the held-out test images to go live."""

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from components import features
from components.settings import Settings, nearest

EACH = "*"  # in place of a class or a column's value: every one, each with a bound of its own

# What a rule can judge, and of which class or order it must say more.
OF_A_CLASS = frozenset({"precision", "recall"})
OF_AN_ORDER = frozenset({"quadratic_weighted_kappa"})
MEANS_OF_CLASSES = frozenset({"balanced_accuracy", "macro_f1", "auc"})  # however small each is
LOWER_IS_BETTER = frozenset({"log_loss", "expected_calibration_error"})
# The least and the greatest value; of any other metric 0 and 1.
_RANGES = {"log_loss": (0.0, math.inf), "quadratic_weighted_kappa": (-1.0, 1.0)}
METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "precision",
    "recall",
    "auc",
    "top_k_accuracy",
    "log_loss",
    "expected_calibration_error",
    "quadratic_weighted_kappa",
)


class RuleConfig(Settings):
    """One rule of the gate; a candidate must pass all of them."""

    metric: str = Field(
        description=f"one of {', '.join(METRICS)}; on the test split. log_loss is in nats, auc the "
        "mean over classes of each against the rest, the calibration error over 15 bins of the "
        "predicted class's probability"
    )
    slice: dict[str, str] = Field(
        {},
        description="judge only images with this value in this column, e.g. {label: hat}; with '*' "
        "in place of the value: each that the test images have, apart; empty: all images",
    )
    of_class: str | None = Field(
        None,
        alias="class",
        description="whose precision or recall; '*': each class's, "
        "apart; none for the other metrics",
    )
    k: int = Field(5, ge=2, description="of top_k_accuracy: right among this many likeliest")
    min: float | None = Field(None, description="least value allowed")
    max: float | None = Field(None, description="greatest value allowed")
    max_decline: float | None = Field(
        None,
        ge=0,
        description="how much worse it may be than the model that serves, on the same images: "
        "those whose class both know",
    )
    confidence: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="hold max_decline not against the difference itself, but against the worse "
        "end of its interval of this confidence, e.g. 0.95: the candidate must be shown to be no "
        "worse by more than max_decline (non-inferiority). Needs thousands of images, or a "
        "max_decline of some hundredths; too few to show it at all refuse, as min_examples does",
    )
    min_examples: int = Field(
        1,
        ge=1,
        description="least number of test images in the slice, and with class, of that class in it",
    )
    few_examples: Literal["refuse", "pass"] = Field(
        "refuse", description="what a bound comes to, by which fewer images than that are judged"
    )

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, value: str) -> str:
        return nearest(value, METRICS, "metric")

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.min is None and self.max is None and self.max_decline is None:
            raise ValueError("a rule needs one of min, max and max_decline: it bounds nothing")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} lies above max {self.max:g}: nothing can pass")
        if self.confidence is not None and self.max_decline is None:
            raise ValueError("confidence is of max_decline, which this rule has not: give it one")
        return self

    @model_validator(mode="after")
    def _bounds_lie_within_the_range(self) -> Self:
        least, greatest = _RANGES.get(self.metric, (0.0, 1.0))
        allowed = f"{self.metric} lies between {least:g} and {greatest:g} (0.01 is one percent)"
        if (self.min is not None and self.min > greatest) or (
            self.max is not None and self.max < least
        ):
            raise ValueError(f"nothing can pass: {allowed}")
        if self.max_decline is not None and self.max_decline >= greatest - least:
            raise ValueError(f"max_decline {self.max_decline:g} lets any model pass: {allowed}")
        if self.confidence is not None and not self.max_decline:
            raise ValueError(
                "confidence needs a max_decline above 0, e.g. 0.02: no number of images shows that "
                "a model is not in the least worse"
            )
        return self

    @model_validator(mode="after")
    def _says_of_which_class(self) -> Self:
        if self.metric in OF_A_CLASS and self.of_class is None:
            raise ValueError(f"{self.metric} is that of one class: name it, e.g. class: hat")
        if self.metric not in OF_A_CLASS and self.of_class is not None:
            raise ValueError(
                f"class is for {' and '.join(sorted(OF_A_CLASS))}; for {self.metric} of the "
                f"images of one class take slice: {{label: {self.of_class}}}"
            )
        return self

    @model_validator(mode="after")
    def _slices_hold_images(self) -> Self:
        for column in (features.ID, features.CONTENT_HASH):
            if self.slice.get(column) == EACH:
                raise ValueError(
                    f"slice: {{{column}: '*'}} would be a slice of each single image; name a "
                    "column whose values images share"
                )
        return self

    @property
    def demands(self) -> bool:
        """Whether it keeps out what is bad, with nothing to compare with and few images, too."""
        good = self.max if self.metric in LOWER_IS_BETTER else self.min
        return good is not None and self.few_examples == "refuse"

    @property
    def part(self) -> tuple[tuple[str, str], ...]:
        """The slice as column and value, sorted; empty for all images."""
        return tuple(sorted(self.slice.items()))


class GateConfig(Settings):
    """What a candidate must reach on the held-out test split to go live."""

    rules: tuple[RuleConfig, ...] = Field(
        (
            RuleConfig(metric="accuracy", min=0.7),
            RuleConfig(metric="accuracy", max_decline=0.01),
        ),
        description="all must pass",
    )
    slices: tuple[str, ...] = Field(
        (), description="columns to report by, beside the label; rules may name others"
    )
    max_unknown_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="greatest share of test images of classes that the candidate does not know: no "
        "rule can count them, and more refuse it",
    )
    class_order: tuple[str, ...] | None = Field(
        None,
        description="all classes from the least to the greatest, where they are grades; what "
        "quadratic_weighted_kappa goes by",
    )

    @property
    def columns(self) -> list[str]:
        """Columns that slices are made of, beside the label."""
        asked = {column for rule in self.rules for column in rule.slice}
        return sorted({*self.slices, *asked} - {"label"})

    @model_validator(mode="after")
    def _judges_the_first_model(self) -> Self:
        if not any(rule.demands for rule in self.rules):
            raise ValueError(
                "at least one rule needs min (max, where less is better) and must not let few "
                "examples pass: the first model has no other to be compared with, and nothing "
                "would judge it"
            )
        return self

    @model_validator(mode="after")
    def _knows_the_order(self) -> Self:
        asks = [rule.metric for rule in self.rules if rule.metric in OF_AN_ORDER]
        if asks and self.class_order is None:
            raise ValueError(
                f"{asks[0]} needs gate.class_order: all classes, from the least to the greatest"
            )
        if self.class_order is not None and len(set(self.class_order)) < len(self.class_order):
            raise ValueError("class_order names a class twice")
        return self
