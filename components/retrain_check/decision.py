"""Whether a run trains, and what it looked at to decide so."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from components.evaluator.verdict import Record

FILE = "decision.json"
# Custom properties of the artifact, for whoever reads no files.
RETRAIN_PROPERTY = "retrain"  # 1 or 0
REASON_PROPERTY = "reason"

# Within what a model is trained by, as it is recorded with a version.
SETTINGS = "settings"  # values by dotted path
CODE = "code"  # digest of the code, the libraries and the weights' file


class Finding(Record):
    """One thing that was looked at.

    Attributes:
        what: its name.
        found: what was found, as people read it.
        bound: at what it would pay; None where any difference does.
        pays: whether it alone is worth a training.
    """

    what: str
    found: str
    bound: str | None = None
    pays: bool


class Decision(Record):
    """What a run does.

    Attributes:
        retrain: whether it goes on to train; else it ends here, and that is no failure.
        forced: whether it does so whatever was found.
        findings: all that was looked at.
        serving: folder of the version that serves; None where there is none.
    """

    retrain: bool
    forced: bool
    findings: tuple[Finding, ...]
    serving: str | None = None

    @classmethod
    def by(cls, findings: Iterable[Finding], forced: bool, serving: str | None) -> Self:
        """Returns the decision that findings lead to."""
        found = tuple(findings)
        pays = any(finding.pays for finding in found)
        return cls(retrain=forced or pays, forced=forced, findings=found, serving=serving)

    @property
    def reason(self) -> str:
        """Why it came out so, in a line."""
        reasons = [f"{one.what}: {one.found}" for one in self.findings if one.pays]
        if reasons:
            return "; ".join(reasons)
        return "forced" if self.forced else "nothing new to learn"

    @classmethod
    def read(cls, folder: str) -> Self:
        """Reads what RetrainCheck left in its artifact."""
        return cls.model_validate_json((Path(folder) / FILE).read_bytes())
