from collections import Counter

import pytest

from components.errors import DataError
from components.image_example_gen.config import SplitsConfig
from components.image_example_gen.records import Checked, Facts
from components.image_example_gen.source import Item
from components.image_example_gen.splits import Division, assign_split, divide

CONFIG = SplitsConfig(train=0.5, val=0.2, test=0.3)


def _image(name: str, content: str = "", split: str | None = None, group: str = "") -> Checked:
    facts = Facts(1, 1, 1, "png", 1, 0.0, content or f"content of {name}", False)
    return Checked(Item(name, name, "label", split, group), facts)


def _where(division: Division) -> dict[str, str]:
    return {image.item.id: split for split, found in division.splits.items() for image in found}


def test_shares_come_out() -> None:
    counts = Counter(assign_split(str(key), CONFIG) for key in range(10_000))
    assert counts["train"] == pytest.approx(5_000, abs=150)
    assert counts["val"] == pytest.approx(2_000, abs=150)


def test_the_hash_never_changes() -> None:
    found = " ".join(assign_split(key, CONFIG) for key in "abcdef")
    assert found == "train train train test train test"


def test_another_salt_gives_other_splits() -> None:
    salted = CONFIG.model_copy(update={"salt": "2"})
    keys = [str(key) for key in range(100)]
    assert [assign_split(k, CONFIG) for k in keys] != [assign_split(k, salted) for k in keys]


def test_nobody_moves_when_data_is_added() -> None:
    some = [_image(str(n), group=f"g{n % 40}" if n % 2 else "") for n in range(200)]
    more = [_image(str(n), group=f"g{n % 90}" if n % 2 else "") for n in range(200, 400)]
    before, after = _where(divide(some, CONFIG)), _where(divide(more + some, CONFIG))
    assert before.items() <= after.items()


def test_groups_and_copies_stay_together() -> None:
    images = [_image(f"{g}-{n}", group=g) for g in map(str, range(30)) for n in range(4)]
    images += [_image(f"copy {n}-{k}", f"content {n}") for n in range(30) for k in range(2)]
    division = divide(images, CONFIG)
    where = _where(division)
    assert len(where) == len(images)
    for group in map(str, range(30)):
        assert len({where[f"{group}-{n}"] for n in range(4)}) == 1
    assert len(division.copies) == 30


@pytest.mark.parametrize("pair", [("train", "test"), ("train", "val"), ("val", "test")])
def test_a_copy_is_dropped_from_the_lesser_split(pair: tuple[str, str]) -> None:
    others = [_image(split, split=split) for split in ("train", "val", "test")]
    copies = [_image(f"in {split}", "same", split) for split in pair]
    division = divide(others + copies, CONFIG)
    assert [image.item.id for image in division.dropped] == [f"in {pair[0]}"]
    assert _where(division)[f"in {pair[1]}"] == pair[1]


def test_copies_in_two_groups_do_not_straddle() -> None:
    groups = {assign_split(str(n), CONFIG): str(n) for n in range(50)}
    copies = [_image(split, "same", group=groups[split]) for split in ("train", "test")]
    assert _where(divide(copies, CONFIG)) == {"test": "test"}


def test_a_missing_official_split_is_carved_from_train() -> None:
    images = [_image(str(n), split="train" if n < 80 else "test") for n in range(100)]
    where = _where(divide(images, CONFIG))
    assert {where[str(n)] for n in range(80)} == {"train", "val"}
    assert {where[str(n)] for n in range(80, 100)} == {"test"}


def test_images_without_a_split_beside_official_ones_are_for_training() -> None:
    images = [_image(split, split=split) for split in ("val", "test")]
    images += [_image(str(n)) for n in range(20)]
    where = _where(divide(images, CONFIG))
    assert {where[str(n)] for n in range(20)} == {"train"}


def test_a_group_in_two_official_splits_is_refused() -> None:
    images = [_image("a", split="train", group="p1"), _image("b", split="test", group="p1")]
    with pytest.raises(DataError, match=r"1 groups .*'p1' in test, train"):
        divide(images, CONFIG)
