import os
from pathlib import Path

import pytest

from components.errors import DataError
from components.image_example_gen.config import DataConfig, FieldNames
from components.image_example_gen.layouts import list_items
from components.image_example_gen.source import Listing, fingerprint


def _write(root: Path, *names: str, text: str = "-") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def _list(root: Path, **settings: object) -> Listing:
    return list_items(str(root), DataConfig.parse(settings))


def _refusal(root: Path, **settings: object) -> str:
    with pytest.raises(DataError) as caught:
        _list(root, **settings)
    return str(caught.value)


def test_class_folders_in_order_of_names(tmp_path: Path) -> None:
    _write(tmp_path, "dog/b.JPG", "dog/deep/a.png", "cat/c.tif", "cat/notes.txt", ".git/x.jpg")
    _write(tmp_path, "readme.md", "dog/.hidden.jpg")
    listing = _list(tmp_path)
    assert listing.layout == "folders"
    assert [(item.id, item.label) for item in listing.items] == [
        ("cat/c.tif", "cat"),
        ("dog/b.JPG", "dog"),
        ("dog/deep/a.png", "dog"),
    ]
    assert listing.ignored == {".md": 1, ".txt": 1}


def test_official_splits(tmp_path: Path) -> None:
    _write(tmp_path, "train/a/1.jpg", "validation/b/2.jpg", "Test/a/x/3.jpg")
    found = {(item.split, item.label) for item in _list(tmp_path).items}
    assert found == {("train", "a"), ("val", "b"), ("test", "a")}


def test_classes_named_as_splits_are_classes_when_they_hold_images(tmp_path: Path) -> None:
    _write(tmp_path, "train/1.jpg", "test/2.jpg")
    assert _list(tmp_path).layout == "folders"


def test_class_names_may_hold_anything_but_line_breaks(tmp_path: Path) -> None:
    names = ["<script>", "🦊", "שלום", " a ", "a,b", "class=x"]
    _write(tmp_path, *(f"{name}/1.jpg" for name in names))
    assert sorted({item.label for item in _list(tmp_path).items}) == sorted(names)
    _write(tmp_path, "two\nlines/1.jpg")
    assert "line break" in _refusal(tmp_path)


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    _write(tmp_path, "a/1.jpg", "b/1.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b/\xff.jpg")).write_text("-")
    assert _list(tmp_path).items[-1].id == "b/\\xff.jpg"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no files"),
        (("a/1.txt", "b/2.md"), r"no images in class folders, only \.md \(1\), \.txt \(1\)"),
        (("1.jpg", "2.jpg"), r"no images in class folders"),
        (("a/1.jpg", "a/2.jpg"), "only one class, 'a'"),
        (("train/a/1.jpg", "test/b/1.jpg", "other/c/1.jpg"), "beside others"),
        (("a/1.jpg", "b/2.jpg", "x.tfrecord"), "both TFRecords and image files"),
        (("a/1.jpg", "b/2.jpg", "x.csv"), "x.csv, which has no column 'image'"),
    ],
)
def test_nothing_to_train_on(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    _write(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        _list(tmp_path)


def test_symlinks_stay_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _write(tmp_path, "root/a/1.jpg", "root/b/1.jpg", "secret.jpg")
    (root / "a/inside.jpg").symlink_to(root / "b/1.jpg")
    assert len(_list(root).items) == 3
    (root / "a/outside.jpg").symlink_to(tmp_path / "secret.jpg")
    assert "leads out of the data path" in _refusal(root)
    (root / "a/outside.jpg").unlink()
    (root / "c").symlink_to(tmp_path)
    assert "leads out of the data path" in _refusal(root)
    (root / "c").unlink()
    (root / "c").symlink_to("b")
    assert "c is a link to a folder" in _refusal(root)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A folder with images/1.jpg to images/3.jpg, to write a manifest beside."""
    root = tmp_path / "root"
    _write(root, *(f"images/{number}.jpg" for number in (1, 2, 3)))
    _write(tmp_path, "outside.jpg")
    return root


def test_manifest_with_every_column(table: Path) -> None:
    rows = "image,label,split,group,id,site\nimages/2.jpg,x,TEST,p1,7,north\nimages/1.jpg,y,,,8,\n"
    _write(table, "labels.csv", text="\ufeff" + rows)
    listing = _list(table)
    first, second = listing.items
    assert (listing.layout, listing.renamed) == ("csv", {"id": "id_given"})
    assert (first.id, first.label, first.split, first.group) == ("images/1.jpg", "y", None, "")
    assert (second.id, second.split, second.group) == ("images/2.jpg", "test", "p1")
    assert (first.extra, second.extra) == ({"id_given": "8"}, {"id_given": "7", "site": "north"})
    assert listing.ignored == {".jpg": 1}
    assert list_items(str(table / "labels.csv"), DataConfig()) == listing


def test_columns_and_classes_by_other_names(table: Path) -> None:
    _write(table, "a.csv", text="file,y\nimages/1.jpg,0\nimages/2.jpg,1\n")
    _write(table, "b.csv", text="image,label\n")
    fields = FieldNames(image="file", label="y")
    listing = _list(table, manifest="a.csv", fields=fields, class_names=("no", "yes"))
    assert [item.label for item in listing.items] == ["no", "yes"]
    assert "labels that aren't in data.class_names" in _refusal(
        table, manifest="a.csv", fields=fields, class_names=("no", "maybe so")[:1]
    )
    assert "name the manifest" in _refusal(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image;label\n", "no rows"),
        ("image;label\nimages/1.jpg;x\n", r"no column 'image', 'label'.*separated by commas"),
        ("image,class\nimages/1.jpg,x\n", r"no column 'label'; its columns are 'image', 'class'"),
        ("image,label,label\na,b,c\n", "columns of the same name: label"),
        ("image,label\nimages/1.jpg,x,y\n", r"1 rows that don't have 2 fields \(row 2: 3\)"),
        ("image,label\nimages/9.jpg,x\n\n8.jpg,y\n", r"2 images that don't exist.*row 4: 8\.jpg"),
        ("image,label\n../outside.jpg,x\n", "1 images outside"),
        ("image,label\n/etc/passwd,x\n", "1 images outside"),
        ("image,label\nimages/1.jpg, \n", "1 rows with an empty 'label'"),
        ("image,label,split\nimages/1.jpg,x,dev\n", "split isn't one of train, val"),
        ("image,label\nimages/1.jpg,x\nimages/2.jpg,x\n", "only one class, 'x'"),
        ('image,label\n"images/1.jpg,x\n', "isn't well-formed CSV"),
    ],
)
def test_wrong_manifests(table: Path, text: str, message: str) -> None:
    _write(table, "labels.csv", text=text)
    with pytest.raises(DataError, match=message):
        list_items(str(table), DataConfig(layout="csv"))


def test_a_manifest_cannot_lead_out_by_a_symlink(table: Path) -> None:
    _write(table, "labels.csv", text="image,label\nimages/link.jpg,x\nimages/1.jpg,y\n")
    (table / "images/link.jpg").symlink_to("../../outside.jpg")
    assert "leads out of the data path" in _refusal(table)


def test_manifest_in_another_encoding(table: Path) -> None:
    (table / "labels.csv").write_bytes("image,label\nimages/1.jpg,é\n".encode("latin-1"))
    assert "isn't UTF-8 (byte" in _refusal(table)


def test_fingerprint_changes_with_files_and_with_the_manifest(table: Path) -> None:
    seen = set()
    for label in ("x", "y"):
        _write(table, "m.csv", text=f"image,label\nimages/1.jpg,z\nimages/2.jpg,{label}\n")
        seen.add(fingerprint(_list(table)))
        assert fingerprint(_list(table)) in seen
    _write(table, "images/1.jpg", text="longer")
    seen.add(fingerprint(_list(table)))
    os.utime(table / "images/2.jpg", ns=(1, 1))
    seen.add(fingerprint(_list(table)))
    assert len(seen) == 4
