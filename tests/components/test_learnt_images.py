"""The table of what a model has learnt from."""

import hashlib

import numpy as np
import pytest

from components import learnt_images as table
from components.errors import DataError


def content(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def of(*names: str, label: str = "hat") -> np.ndarray:
    return table.learnt_images((content(name), label) for name in names)


def test_images_are_known_by_content_whatever_their_label_and_order() -> None:
    images = of("b", "a", "b")
    assert len(images) == 2
    np.testing.assert_array_equal(images, of("a", "b"))
    assert table.among(images, [content("b"), content("c")]).tolist() == [True, False]
    assert table.among(of(), [content("b")]).tolist() == [False]


def test_what_a_warm_start_began_from_is_learnt_as_well() -> None:
    both = table.begun_from(of("a", "b"), of("b", "c"))
    assert table.among(both, map(content, "abc")).all()
    assert both["earlier"].tolist() == (both["content"] == of("c")["content"]).tolist()
    again = table.begun_from(of("d"), both)
    assert again["earlier"].sum() == 3


def test_a_table_is_read_as_it_was_written(tmp_path) -> None:
    assert table.read(tmp_path) is None
    (tmp_path / table.FILE).write_bytes(table.to_bytes(of("a", "b")))
    np.testing.assert_array_equal(table.read(tmp_path), of("a", "b"))


@pytest.mark.parametrize(
    "damaged",
    [b"", b"no table", table.to_bytes(of("a"))[:-3], table.to_bytes(np.arange(3))],
    ids=["empty", "text", "cut off", "of another kind"],
)
def test_a_damaged_table_is_told(tmp_path, damaged: bytes) -> None:
    (tmp_path / table.FILE).write_bytes(damaged)
    with pytest.raises(DataError, match=r"learnt_images\.npy' is damaged"):
        table.read(tmp_path)


def test_nothing_is_unpickled(tmp_path) -> None:
    np.save(tmp_path / table.FILE, np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="damaged"):
        table.read(tmp_path)
