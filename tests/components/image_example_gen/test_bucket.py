"""The same images give the same examples from a bucket as from a folder, in every layout."""

from pathlib import Path

import pytest

from components.batch_scoring.listing import as_given
from components.errors import ConfigError, DataError
from components.image_example_gen.checks import RejectedError
from components.image_example_gen.config import DataConfig
from components.image_example_gen.layouts import list_items
from components.image_example_gen.location import locate
from components.image_example_gen.reading import read_bounded
from components.image_example_gen.source import fingerprint
from components.store import StoreError, open_store


@pytest.fixture(params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


def listed(root: str, **settings: object) -> list[tuple[object, ...]]:
    listing = list_items(locate(root).root, DataConfig.parse(settings))
    return [
        (listing.layout, dict(listing.ignored)),
        *((i.id, i.label, i.split, i.group, dict(i.extra), i.size) for i in listing.items),
    ]


LAYOUTS = {
    "folders": {"dog/b.JPG": "b", "cat/deep/a.png": "aa", ".git/x.jpg": "-", "notes.txt": "-"},
    "splits": {f"{split}/{name}/1.jpg": name for split in ("train", "Test") for name in "ab"},
    "manifest": {
        "labels.csv": "\ufeffimage,label,group,colour\na 1.jpg,x,g,red\nsub/../b.jpg,y,,\n",
        "a 1.jpg": "1",
        "b.jpg": "22",
        "sub/c.txt": "",
    },
    "records": {"train/a.tfrecord": "1", "val/b.tfrecord-00000-of-00001": "22"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_listed_as_in_a_folder(bucket: str, layout: str, tmp_path: Path) -> None:
    for name, text in LAYOUTS[layout].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    open_store(bucket).put(tmp_path, "data")
    assert listed(f"{bucket}/data/") == listed(str(tmp_path))
    if layout == "manifest":
        assert listed(f"{bucket}/data/labels.csv") == listed(str(tmp_path / "labels.csv"))


def test_a_manifest_may_name_whole_addresses(bucket: str) -> None:
    store = open_store(bucket)
    store.write_text("data/a.jpg", "-")
    store.write_text("data/b.jpg", "-")
    rows = f"image,label\n{bucket}/data/a.jpg,x\nb.jpg,y\n"
    store.write_text("data/labels.csv", rows)
    items = list_items(f"{bucket}/data", DataConfig()).items
    assert [item.path for item in items] == [f"{bucket}/data/{name}.jpg" for name in "ab"]
    store.write_text("data/labels.csv", f"{rows}s3://elsewhere/data/a.jpg,x\n")
    with pytest.raises(DataError, match=r"images outside .*row 4: s3://elsewhere"):
        listed(f"{bucket}/data")


def test_a_manifest_names_nothing_outside(bucket: str) -> None:
    store = open_store(bucket)
    store.write_text("other/secret.jpg", "-")
    store.write_text("data/labels.csv", "image,label\n../other/secret.jpg,x\nmissing.jpg,y\n")
    with pytest.raises(DataError, match=r"images outside .*row 2.*don't exist below .*row 3"):
        listed(f"{bucket}/data")


def test_the_newest_span_or_date_is_taken(bucket: str) -> None:
    store = open_store(bucket)
    for week in ("1", "02", "x"):
        store.write_text(f"plant/week-{week}/a/1.jpg", "-")
    for day in ("2026-11-23", "20261124", "20269999"):
        store.write_text(f"days/{day}/images/a/1.jpg", "-")
    found = locate(f"{bucket}/plant/week-{{SPAN}}")
    assert (found.root, found.span) == (f"{bucket}/plant/week-02", 2)
    assert locate(f"{bucket}/plant/week-{{SPAN}}", "1").root == f"{bucket}/plant/week-1"
    found = locate(f"{bucket}/days/{{DATE}}/images")
    assert (found.root, found.span_name) == (f"{bucket}/days/20261124/images", "2026-11-24")
    with pytest.raises(DataError, match="nothing matches"):
        locate(f"{bucket}/plant/month-{{SPAN}}")
    assert locate(f"{bucket}/").root == locate(bucket).root == bucket
    with pytest.raises(DataError, match="doesn't exist"):
        locate(f"{bucket}/nowhere")
    with pytest.raises(ConfigError, match="mixes"):
        locate(f"{bucket}/{{SPAN}}/{{DATE}}")


def test_the_fingerprint_changes_with_what_lies_there(bucket: str) -> None:
    store = open_store(bucket)
    for name in ("a/1.jpg", "b/1.jpg"):
        store.write_text(name, "-")
    before = fingerprint(list_items(bucket, DataConfig()))
    assert fingerprint(list_items(bucket, DataConfig())) == before
    store.write_text("a/1.jpg", "--")
    assert fingerprint(list_items(bucket, DataConfig())) != before


def test_another_kind_of_address_is_refused() -> None:
    with pytest.raises(StoreError, match="s3://bucket"):
        locate("https://host/images")


def test_an_image_that_was_not_listed_is_bounded_as_well(bucket: str) -> None:
    open_store(bucket).write_text("a.jpg", "x" * 100)
    (item,) = as_given([f"{bucket}/a.jpg"])
    with pytest.raises(RejectedError, match="100 bytes, limit 99"):
        read_bounded(item, DataConfig(max_bytes=99))
    assert read_bounded(item, DataConfig(max_bytes=100)) == b"x" * 100
