"""What the check of an image leaves behind: small records, without its bytes."""

import dataclasses
from typing import Any

from components.image_example_gen.source import Item

REJECTED_FILE = "rejected.jsonl"  # what was set aside, in ingestion's artifact and the run's folder


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of an image; see `components.features` for the fields' units.

    Attributes:
      rotated: the EXIF orientation isn't upright.
      perceptual_hash: see `near_duplicates`; empty where none was asked for, or it tells nothing.
    """

    width: int
    height: int
    channels: int
    format: str
    byte_size: int
    brightness: float
    content_hash: str
    rotated: bool
    perceptual_hash: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Checked:
    """An image that can be used: what was listed and what was found in it."""

    item: Item
    facts: Facts

    def plain(self) -> dict[str, Any]:
        """Returns JSON values."""
        return {"item": vars(self.item), "facts": vars(self.facts)}


@dataclasses.dataclass(frozen=True, eq=False)
class SetAside:
    """An image that can't be used: what was listed, a reason to count by, and its detail."""

    item: Item
    reason: str
    detail: str

    def plain(self) -> dict[str, Any]:
        """Returns JSON values."""
        return {"item": vars(self.item), "reason": self.reason, "detail": self.detail}


def from_plain(values: dict[str, Any]) -> Checked | SetAside:
    """Returns what `plain` took apart."""
    item = Item(**values["item"])
    if "facts" in values:
        return Checked(item, Facts(**values["facts"]))
    return SetAside(item, values["reason"], values["detail"])
