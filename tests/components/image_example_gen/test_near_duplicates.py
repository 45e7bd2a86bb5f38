import itertools

import numpy as np
import pytest
from PIL import Image

from components.image_example_gen.near_duplicates import (
    find_pairs,
    look_alikes,
    perceptual_hash,
)
from components.image_example_gen.records import Checked, Facts
from components.image_example_gen.source import Item


def _hashes(bits: np.ndarray) -> list[str]:
    return [row.tobytes().hex() for row in np.packbits(bits, axis=1)]


def _random_bits(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (count, 256), dtype=np.uint8)


def _flipped(bits: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    return bits ^ (np.random.default_rng(seed).random(bits.shape) < share)


def _distance(first: str, second: str) -> int:
    return (int(first, 16) ^ int(second, 16)).bit_count()


def _photograph(seed: int, size: tuple[int, int] = (300, 200)) -> Image.Image:
    patches = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("distance", [0, 1, 32, 40])
def test_the_search_finds_what_comparing_all_finds(distance: int) -> None:
    bits = _random_bits(400)
    # Copies with more and more bits changed, up to beyond the distance.
    for number in range(100):
        bits[300 + number] = _flipped(bits[number : number + 1], number / 500, number)[0]
    hashes = _hashes(bits)
    expected = {
        (i, j, found)
        for i, j in itertools.combinations(range(400), 2)
        if (found := _distance(hashes[i], hashes[j])) <= distance
    }
    found = find_pairs(hashes, distance)
    assert set(map(tuple, found.tolist())) == expected
    assert len(expected) == len(found) > 0
    assert (np.diff(found[:, 2]) >= 0).all()


def test_a_crowd_hides_no_pair_and_takes_no_room() -> None:
    crowd = _flipped(np.repeat(_random_bits(1, seed=5), 4000, axis=0), 0.03)
    others = _random_bits(1000)
    pair = _flipped(others[:1], 0.05)
    found = find_pairs(_hashes(np.concatenate([crowd, others, pair])), 32)
    assert (4000, 5000) in set(map(tuple, found[:, :2].tolist()))
    assert len(np.unique(found[:, :2])) == 4002
    assert len(found) < 4000 * 64  # of 8 million


def test_a_hash_outlives_what_a_person_does_not_see() -> None:
    image = _photograph(1)
    hash_ = perceptual_hash(np.asarray(image))
    for size in ((150, 100), (1500, 1000), (96, 64)):
        assert _distance(hash_, perceptual_hash(np.asarray(image.resize(size)))) <= 16
    brighter = np.clip(np.asarray(image) * 1.1 + 5, 0, 255).astype(np.uint8)
    assert _distance(hash_, perceptual_hash(brighter)) <= 32
    assert _distance(hash_, perceptual_hash(np.asarray(_photograph(2)))) > 64


def test_an_image_of_one_colour_has_no_hash() -> None:
    assert perceptual_hash(np.full((40, 60, 3), 90, np.uint8)) == ""
    noise = np.random.default_rng(0).integers(88, 93, (400, 600, 3), dtype=np.uint8)
    assert perceptual_hash(noise) == ""
    assert len(perceptual_hash(np.asarray(_photograph(1, (1, 300))))) == 64


def _checked(name: str, content: str, perceptual: str) -> Checked:
    return Checked(Item(name, name, "a"), Facts(1, 1, 1, "png", 1, 0, content, False, perceptual))


def test_pairs_across_splits_come_first_and_copies_are_none() -> None:
    base = _random_bits(2)
    hashes = _hashes(np.concatenate([base, _flipped(base, 0.02)]))
    train = [
        _checked("train/1", "c1", hashes[0]),
        _checked("train/2", "c2", hashes[1]),
        _checked("train/2 again", "c2", hashes[1]),
        _checked("train/3", "c3", hashes[1]),
        _checked("train/flat", "c4", ""),
    ]
    test = [_checked("test/1", "c5", hashes[2]), _checked("test/flat", "c6", "")]
    found = look_alikes({"train": train, "val": [], "test": test}, 32)
    assert (found.across, found.within) == (1, 1)
    across, within = found.pairs
    assert (across.first.item.id, across.second.item.id) == ("train/1", "test/1")
    assert across.splits == ("train", "test")
    assert across.distance == _distance(hashes[0], hashes[2])
    assert {within.first.item.id, within.second.item.id} <= {
        "train/2",
        "train/2 again",
        "train/3",
    }
    assert look_alikes({"train": train, "val": [], "test": test}, None).pairs == ()
