import subprocess
import sys

import pytest

from components.errors import InputError
from components.store import open_store
from pipeline.run_pages import write_pages, write_run


@pytest.fixture
def notes():
    return []


def test_both_pages_are_written(output, left_run, notes):
    former, run = left_run(1), left_run(2, "refused", warnings=("few <images>",))

    write_pages(str(output.root), run.id, notes.append)

    assert notes == []
    page, index = run.report.read_text(), output.index.read_text()
    assert "refused" in page
    assert "few &lt;images&gt;" in page
    assert f'href="runs/{run.id}/report.html"' in index
    assert former.id in index
    assert not former.report.exists()
    assert "<script" not in page + index, "nothing goes on"


def test_the_same_facts_make_the_same_pages(output, left_run, notes):
    run = left_run(1)
    pages = []
    for _ in range(2):
        write_pages(str(output.root), run.id, notes.append)
        pages.append((run.report.read_bytes(), output.index.read_bytes()))
    assert pages[0] == pages[1]


def test_what_keeps_a_page_from_being_written_is_a_warning(output, left_run, notes):
    run = left_run(1)
    run.report.mkdir()  # stands in its place, as a full disk would
    write_pages(str(output.root), run.id, notes.append)
    (note,) = notes
    assert note.startswith("warning: the report could not be written")
    assert run.id in output.index.read_text(), "the page of all runs comes all the same"


def test_ctrl_c_ends_the_writing_and_no_more(left_run, output, notes, monkeypatch):
    run = left_run(1)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.run_pages.write_run", interrupt)
    write_pages(str(output.root), run.id, notes.append)
    assert "effnet report" in notes[0]


def test_a_run_that_is_gone_is_not_made_again(output, left_run):
    left_run(1)
    with pytest.raises(InputError, match="there is no run"):
        write_run(open_store(str(output.root)), left_run.id(2))
    assert not output.run(left_run.id(2)).path.exists()


def test_what_draws_the_pages_is_imported_only_for_them(environment):
    code = (
        "import sys; import pipeline.cli; "
        "print({'matplotlib', 'scipy', 'uvicorn', 'starlette', 'tensorflow'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
