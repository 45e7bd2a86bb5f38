"""Images that look the same though their files differ: re-encoded, resized, brightened, cropped.

Each image has a perceptual hash of 256 bits: the signs of low frequencies of a discrete cosine
transform (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010). 64
bits are too few: at the distance that finds a resized copy, photographs of one kind of object
begin to look the same. A mirrored image has another hash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image

from components import features
from components.image_example_gen.records import Checked

_HASH_SIDE = 16
HASH_BITS = _HASH_SIDE**2
_FLAT = 2.0  # standard deviation, in grey levels, below which a hash tells noise only
_SAMPLED = 128  # pixels of the shorter side that the hash is made of, at least
# Of more images that all look the same, each is paired with about this many others.
_PARTNERS = 32
_WINDOW = 32  # neighbours that every hash is compared with before it counts how many are alike
_PAIRS_AT_ONCE = 500_000  # compared in one go; 100 bytes each
_KEPT = 10_000  # pairs that are named


@dataclass(frozen=True)
class Pair:
    """Two images that look the same, in the order of their splits, then of their ids."""

    first: Checked
    second: Checked
    splits: tuple[str, str]
    distance: int  # of their hashes, in bits


@dataclass(frozen=True)
class LookAlikes:
    """Pairs of images that look the same though their contents differ.

    Attributes:
        across, within: how many there are, by whether their splits differ.
        pairs: the first of them: those across splits first, then the closest.
    """

    across: int = 0
    within: int = 0
    pairs: tuple[Pair, ...] = ()


def perceptual_hash(pixels: np.ndarray) -> str:
    """Hashes what an image looks like.

    Args:
        pixels: uint8 [height, width, 3], RGB in [0, 255].

    Returns:
        256 bits as hexadecimal digits; "" of an image of (nearly) one colour, which looks like
        every other.
    """
    # So that a big photograph costs no more than a small one; what follows averages.
    step = max(1, min(pixels.shape[:2]) // _SAMPLED)
    # A pixel at a time, in half the time of a byte at a time.
    whole = np.ascontiguousarray(pixels).view("V3")[::step, ::step, 0]
    sampled = np.ascontiguousarray(whole).view(np.uint8).reshape(*whole.shape, 3)
    grey = Image.fromarray(sampled).convert("L")
    # To what the transform is made of, so that it has no further resizing to do.
    small = grey.resize((4 * _HASH_SIDE, 4 * _HASH_SIDE), Image.Resampling.BILINEAR)
    if np.asarray(small.reduce(4)).std() < _FLAT:
        return ""
    return np.packbits(imagehash.phash(small, _HASH_SIDE).hash).tobytes().hex()


def look_alikes(splits: Mapping[str, Sequence[Checked]], max_distance: int | None) -> LookAlikes:
    """Finds images that look the same, within and across splits.

    Args:
        splits: split -> its images. Of copies of one content, one is looked at.
        max_distance: bits in which their hashes may differ; None doesn't look.
    """
    # In order of content, which is no order at all: so crowds mix their splits.
    found = {
        image.facts.content_hash: (image, split)
        for split, images in splits.items()
        for image in images
        if image.facts.perceptual_hash
    }
    known = [found[content] for content in sorted(found)]
    if max_distance is None or not known:
        return LookAlikes()
    pairs = find_pairs([image.facts.perceptual_hash for image, _ in known], max_distance)
    split_of = np.array([features.SPLITS.index(split) for _, split in known])
    across = split_of[pairs[:, 0]] != split_of[pairs[:, 1]]
    order = np.argsort(~across, kind="stable")[:_KEPT]
    named = tuple(_pair(known[i], known[j], int(distance)) for i, j, distance in pairs[order])
    return LookAlikes(int(across.sum()), int((~across).sum()), named)


def _pair(one: tuple[Checked, str], other: tuple[Checked, str], distance: int) -> Pair:
    (first, first_split), (second, second_split) = sorted(
        (one, other), key=lambda known: (features.SPLITS.index(known[1]), known[0].item.id)
    )
    return Pair(first, second, (first_split, second_split), distance)


def find_pairs(hashes: Sequence[str], max_distance: int) -> np.ndarray:
    """Finds the pairs of hashes that differ in few bits, without comparing all with all.

    Bits are dealt out into so many bands that two hashes within the distance differ by at most one
    bit in some band (Norouzi et al., "Fast exact search in Hamming space with multi-index
    hashing", 2014). So they are equal in that band but for that bit.

    The search is exact but for crowds: once two hashes have both been paired with 32 others, they
    may not be with one another. So 10,000 frames of one scene take little more time and memory
    than as many different images.

    Args:
        hashes: as `perceptual_hash` makes them, none empty.
        max_distance: bits in which a pair may differ.

    Returns:
        int64 [pairs, 3]: index of the first, of the second, and their distance; the closest first.
    """
    packed = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), -1)
    bits = np.unpackbits(packed, axis=1)
    search = _Search(packed.view(np.uint64), max_distance)
    # A band holds 32 bits at most, so that it fits a number.
    bands = max(max_distance // 2 + 1, HASH_BITS // 32)
    for band in range(bands):
        # Dealt out in turn, as the lower frequencies, which come first, are less random.
        dealt = bits[:, band::bands]
        search.look(dealt @ (1 << np.arange(dealt.shape[1], dtype=np.int64)), dealt.shape[1])
    return search.pairs()


class _Search:
    """Compares hashes that some bits of theirs bring together, and keeps the pairs found."""

    def __init__(self, words: np.ndarray, max_distance: int) -> None:
        self._words = words
        self._count = len(words)
        self._max_distance = max_distance
        self._found = np.zeros(0, np.int64)  # first * count + second, of other bands
        self._new: list[np.ndarray] = []  # of this band
        self._partners = np.zeros((2, self._count), np.int64)  # by both

    def look(self, keys: np.ndarray, width: int) -> None:
        """Compares the hashes whose keys, of so many bits, differ by one bit at most."""
        for bit in range(width):
            masked = keys & ~(1 << bit)
            order = np.argsort(masked, kind="stable")
            masked = masked[order]
            other = keys[order] if bit else None  # Equal keys have met at the first bit.
            self._look_near(order, masked, other)
            self._look_far(order, masked, other)
        self._found = np.unique(np.concatenate([self._found, *self._new]))
        self._new = []
        # What a band finds may be known from another one, so the two are not added up.
        self._partners[0] = np.bincount(self._ends().ravel(), minlength=self._count)
        self._partners[1] = 0

    def pairs(self) -> np.ndarray:
        """Returns what `find_pairs` returns."""
        first, second = self._ends()
        distances = _distances(self._words, first, second)
        order = np.argsort(distances, kind="stable")
        return np.stack([first, second, distances], axis=1)[order]

    def _look_near(self, order: np.ndarray, masked: np.ndarray, other: np.ndarray | None) -> None:
        at = np.arange(self._count)
        for shift in range(1, _WINDOW + 1):
            at = at[at + shift < self._count]
            at = at[masked[at] == masked[at + shift]]
            if not at.size:
                return
            self._compare(order, at, at + shift, other)

    def _look_far(self, order: np.ndarray, masked: np.ndarray, other: np.ndarray | None) -> None:
        """Compares beyond the window, but not within crowds."""
        start = np.searchsorted(masked, masked, "left")
        end = np.searchsorted(masked, masked, "right")
        many = np.flatnonzero(end - start > _WINDOW + 1)
        chunks = np.cumsum(end[many] - start[many]) // _PAIRS_AT_ONCE
        for chunk in np.split(many, np.flatnonzero(np.diff(chunks)) + 1):
            enough = self._enough()[order]
            at = chunk[~enough[chunk]]
            sizes = end[at] - start[at]
            first = np.repeat(at, sizes)
            within = np.arange(len(first)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            second = np.repeat(start[at], sizes) + within
            # The earlier of two looks for the later, unless it has enough.
            ahead = second - first
            wanted = (ahead > _WINDOW) | ((ahead < -_WINDOW) & enough[second])
            self._compare(order, first[wanted], second[wanted], other)

    def _compare(
        self, order: np.ndarray, first: np.ndarray, second: np.ndarray, other: np.ndarray | None
    ) -> None:
        enough = self._enough()[order]
        wanted = ~(enough[first] & enough[second])
        if other is not None:
            wanted &= other[first] != other[second]
        first, second = order[first[wanted]], order[second[wanted]]
        # Half of the bits tell nearly all that are apart.
        for words in (self._words[:, :2], self._words):
            near = _distances(words, first, second) <= self._max_distance
            first, second = first[near], second[near]
        if first.size:
            np.add.at(self._partners[1], np.concatenate([first, second]), 1)
            self._new.append(np.minimum(first, second) * self._count + np.maximum(first, second))

    def _enough(self) -> np.ndarray:
        return self._partners.max(axis=0) >= _PARTNERS

    def _ends(self) -> np.ndarray:
        return np.stack(np.divmod(self._found, self._count))


def _distances(words: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.bitwise_count(words[first] ^ words[second]).sum(axis=1, dtype=np.int64)
