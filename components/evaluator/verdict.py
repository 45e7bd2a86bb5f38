"""What the gate found, as the Evaluator leaves it beside TFMA's files."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

FILE = "verdict.json"


class Record(BaseModel):
    """Facts written by one process and read by another; NaN becomes null, as JSON has none."""

    model_config = ConfigDict(frozen=True)


class Rule(Record):
    """One bound of one rule, and how the candidate stood against it.

    Attributes:
        metric: its name, with the class or the k that it is of.
        slice: column=value; None for the whole test split.
        value: the candidate's on the images that the bound is about; None if it has none.
        bound: as people read it.
        passed: whether the candidate met it.
        reason: why there is no value, or why the bound did not count.
        examples: number of those images.
        interval: of the difference to the model that serves, where one was asked for.
    """

    metric: str
    slice: str | None = None
    value: float | None = None
    bound: str | float | None = None
    passed: bool
    reason: str | None = None
    examples: int | None = None
    interval: tuple[float, float] | None = None


class Comparison(Record):
    """Candidate and serving model on the same test images: those whose class both know.

    Attributes:
        images: how many these are.
        left_out: the other test images.
        candidate: its accuracy on them.
        baseline: the serving model's.
        difference: the former less the latter.
        interval: of the difference, with 95 % confidence, by the paired bootstrap.
        only_candidate: images that the candidate alone has right.
        only_baseline: images that the serving model alone has right.
        p_value: McNemar's, exact and two-sided.
        new_classes: that the candidate knows and the serving model does not.
        dropped_classes: the other way round.
        unseen: the same on those of the images that the serving model has not learnt from; None
            where it has learnt from none or all of them, or this is not known.
    """

    images: int
    left_out: int
    candidate: float
    baseline: float
    difference: float
    interval: tuple[float, float] | None
    only_candidate: int
    only_baseline: int
    p_value: float
    new_classes: tuple[str, ...] = ()
    dropped_classes: tuple[str, ...] = ()
    unseen: "Comparison | None" = None


class Verdict(Record):
    """All bounds, and the comparison with what serves if there is such a thing.

    Attributes:
        rules: in the order of the configuration.
        comparison: None where nothing serves yet, or the very model does.
        metrics: of the candidate, beside what TFMA measures; None where one has no value.
        baseline: those of the model that serves.
        seen: how many of the test images that model has learnt from; None where nothing is
            compared, or this was not recorded when it was pushed.
    """

    rules: tuple[Rule, ...]
    comparison: Comparison | None = None
    metrics: dict[str, float | None] = Field(default_factory=dict)
    baseline: dict[str, float | None] | None = None
    seen: int | None = None

    @property
    def passed(self) -> bool:
        """Whether every bound was met."""
        return all(rule.passed for rule in self.rules)

    @classmethod
    def read(cls, text: str) -> Self:
        """Reads what was written as JSON."""
        return cls.model_validate_json(text)
