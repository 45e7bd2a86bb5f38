"""What `effnet doctor` found of one thing."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: of the thing.
        state: missing is what isn't there at all, or too little to work with.
        found: in a few words.
        needed_for: what does not work without it.
        mend: how to get it; "" where nothing is to be done.
        required: whether a run by this configuration needs it.
    """

    name: str
    state: State
    found: str
    needed_for: str
    mend: str = ""
    required: bool = True

    @property
    def stops_a_run(self) -> bool:
        """Whether no run can be done like this."""
        return self.required and self.state == "missing"
