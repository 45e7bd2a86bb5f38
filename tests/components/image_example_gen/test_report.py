import pytest

from components.errors import DataError
from components.image_example_gen.location import Location
from components.image_example_gen.near_duplicates import LookAlikes
from components.image_example_gen.records import Checked, Facts, SetAside
from components.image_example_gen.report import Report, make_report, refuse_unusable
from components.image_example_gen.source import Item, Listing
from components.image_example_gen.splits import Division


def _report(images: dict[str, str], rejected: list[SetAside]) -> Report:
    """Makes the report of images given as split -> a label a letter."""
    facts = Facts(1, 1, 1, "png", 1, 0.0, "hash", False)
    splits = {
        split: [Checked(Item(split, split, label), facts) for label in labels]
        for split, labels in images.items()
    }
    return make_report(
        Location("/data"),
        Listing("folders", (), {}),
        rejected,
        Division(splits, [], []),
        LookAlikes(),
    )


def test_share_of_all_that_was_found() -> None:
    aside = SetAside(Item("c/1.jpg", "/data/c/1.jpg", "c"), "undecodable", "cut off")
    report = _report({"train": "aabb", "val": "ab", "test": "b"}, [aside])
    assert report["images"] == {
        "train": {"a": 2, "b": 2},
        "val": {"a": 1, "b": 1},
        "test": {"b": 1},
    }
    assert report["rejected"] == {"count": 1, "share": 1 / 8, "by_reason": {"undecodable": 1}}
    refuse_unusable(report, [aside], max_rejected_share=1 / 8)
    with pytest.raises(DataError, match=r"1 images \(12\.5%\) .*c/1\.jpg: undecodable, cut off"):
        refuse_unusable(report, [aside], max_rejected_share=0.1)


def test_every_split_needs_images() -> None:
    report = _report({"train": "ab", "val": "", "test": ""}, [])
    with pytest.raises(DataError, match=r"no images for val and test .*'train': 2"):
        refuse_unusable(report, [], max_rejected_share=0)
