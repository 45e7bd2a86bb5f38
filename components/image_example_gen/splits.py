"""Which split an image belongs to: pure functions, the same answer every time.

Without official splits an image is sent by the hash of its group, or of its content if it has
none: it keeps its split when data is added, and images of one group stay together. With official
splits, images that have none count as train; and where val or test is not among the official
ones, it is carved from train by the same hash.

Copies of one content may still come in several splits: by official splits, or by being in
several groups. The rule is the same for both: test over val over train. The copies in the lesser
split are dropped, so that nothing the model is judged on was seen in training.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components import features
from components.errors import DataError
from components.image_example_gen.config import SplitsConfig
from components.image_example_gen.records import Checked

_PRECEDENCE = (features.TEST, features.VAL, features.TRAIN)
_SHOWN = 5


@dataclass(frozen=True)
class Division:
    """Which images go where.

    Attributes:
      splits: split name -> its images, in order of their content's hash, so that classes mix.
      dropped: copies of images that a higher split holds.
      copies: sets of images of the same content, dropped ones included.
    """

    splits: dict[str, list[Checked]]
    dropped: list[Checked]
    copies: list[list[Checked]]


def assign_split(key: str, config: SplitsConfig, among: Sequence[str] = features.SPLITS) -> str:
    """Sends a key to a split by its hash.

    Args:
      key: group or content hash.
      config: shares and salt.
      among: splits to choose from; their shares are scaled to add up to 1.

    Returns:
      One of `among`.
    """
    digest = hashlib.sha256(f"{config.salt}\0{key}".encode()).digest()
    shares = [getattr(config, split) for split in among]
    point = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares)
    for split, share in zip(among, shares, strict=True):
        point -= share
        if point < 0:
            return split
    return among[-1]


def divide(images: Iterable[Checked], config: SplitsConfig) -> Division:
    """Gives every image its split and drops copies from the lesser split.

    Args:
      images: those that passed the check.
      config: shares and salt, for what no official split decides.

    Raises:
      DataError: if a group has images in several official splits.
    """
    images = list(images)
    assigned = _assign_all(images, config)
    _refuse_straddling_groups(assigned)
    division = Division({split: [] for split in features.SPLITS}, [], [])
    for same in _by_content(images):
        best = next(s for s in _PRECEDENCE if any(assigned[image] == s for image in same))
        for image in same:
            kept = assigned[image] == best
            (division.splits[best] if kept else division.dropped).append(image)
        if len(same) > 1:
            division.copies.append(same)
    return division


def _assign_all(images: list[Checked], config: SplitsConfig) -> dict[Checked, str]:
    official = {image.item.split for image in images if image.item.split}
    missing = [split for split in features.SPLITS if split not in official]
    # With official splits, only train gives away images, to those that are missing.
    among = sorted({features.TRAIN, *missing}, key=features.SPLITS.index)
    assigned = {}
    for image in images:
        if image.item.split in (None, features.TRAIN):
            key = image.item.group or image.facts.content_hash
            assigned[image] = assign_split(key, config, among)
        else:
            assigned[image] = image.item.split
    return assigned


def _refuse_straddling_groups(assigned: dict[Checked, str]) -> None:
    splits = defaultdict(set)
    for image, split in assigned.items():
        if image.item.group:
            splits[image.item.group].add(split)
    torn = sorted(group for group, found in splits.items() if len(found) > 1)
    if torn:
        shown = "; ".join(f"{g!r} in {', '.join(sorted(splits[g]))}" for g in torn[:_SHOWN])
        raise DataError(
            f"{len(torn)} groups have images in several splits ({shown}): give all images of a "
            "group the same official split, or none at all"
        )


def _by_content(images: list[Checked]) -> list[list[Checked]]:
    """Returns sets of images of the same content, in order of its hash, each in order of ids."""
    found = defaultdict(list)
    for image in sorted(images, key=lambda image: (image.item.id, image.item.label)):
        found[image.facts.content_hash].append(image)
    return [found[content] for content in sorted(found)]
