from pathlib import Path

import pytest

from components.errors import ConfigError, DataError
from components.image_example_gen.location import locate


@pytest.fixture
def weeks(tmp_path: Path) -> Path:
    for name in ("week-2", "week-10", "week-x", "2026/11/03", "2026/10/30", "2026/13/01"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_newest_span_by_number_not_by_spelling(weeks: Path) -> None:
    found = locate(f"{weeks}/week-{{SPAN}}")
    assert (found.root, found.span, found.span_name) == (f"{weeks}/week-10", 10, "10")


def test_newest_date_is_counted_in_days(weeks: Path) -> None:
    found = locate(f"{weeks}/{{YYYY}}/{{MM}}/{{DD}}")
    assert (found.root, found.span_name) == (f"{weeks}/2026/11/03", "2026-11-03")
    assert found.span == 20760


def test_span_of_choice(weeks: Path) -> None:
    assert locate(f"{weeks}/week-{{SPAN}}", "02").span == 2
    assert locate(f"{weeks}/{{YYYY}}/{{MM}}/{{DD}}", "20261030").span_name == "2026-10-30"
    with pytest.raises(DataError, match=r"span 3 isn't there.* 2"):
        locate(f"{weeks}/week-{{SPAN}}", "3")


def test_plain_path(weeks: Path) -> None:
    assert locate(f"{weeks}/week-2").span == 0
    with pytest.raises(DataError, match="doesn't exist"):
        locate(f"{weeks}/nowhere")
    with pytest.raises(DataError, match="nothing matches"):
        locate(f"{weeks}/month-{{SPAN}}")


@pytest.mark.parametrize(
    ("path", "span"),
    [
        ("plain", "3"),
        ("{SPAN}/{DATE}", None),
        ("{MM}", None),
        ("week-{SPAN}", "soon"),
    ],
)
def test_what_does_not_fit_together(path: str, span: str | None, weeks: Path) -> None:
    with pytest.raises(ConfigError):
        locate(f"{weeks}/{path}", span)
