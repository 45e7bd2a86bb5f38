"""Where `effnet data` writes its page."""

from pathlib import Path

import pytest

from components.errors import OutputError
from pipeline.data_page import check_place, write_page


def test_our_own_page_is_replaced_and_no_other(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert check_place(page, "/data", force=False) == page
    write_page(page, "<p>first</p>\n")
    write_page(check_place(page, "/data", force=False), "<p>second</p>\n")
    assert "second" in page.read_text()

    page.write_text("<p>somebody's</p>")
    with pytest.raises(OutputError, match="--force"):
        check_place(page, "/data", force=False)
    assert check_place(page, "/data", force=True) == page


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("page.txt", "named"),
        ("none/page.html", "no folder"),
        ("folder.html", "is a folder"),
        ("data/page.html", "among the data"),
    ],
)
def test_a_place_that_would_not_do_is_told(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "data").mkdir()
    with pytest.raises(OutputError, match=told):
        check_place(tmp_path / name, str(tmp_path / "data"), force=False)
