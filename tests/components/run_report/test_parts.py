import json

import pytest

from components.run_events import EVENTS_FILE, RUN_DIR_VARIABLE
from components.run_report.parts import DataPart, EvaluationPart, tell_again
from components.store import open_store

PART = DataPart(layout="folders", images={"train": {"<cat>": 7}})


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(tmp_path / "run"))
    return tmp_path / "run"


def test_a_part_is_left_in_the_artifact_and_in_the_run(tmp_path, run):
    PART.leave(str(tmp_path / "artifact"))

    left = (run / "report" / "data.json").read_text()
    assert DataPart.parse(left) == PART
    assert (tmp_path / "artifact" / "report" / "data.json").read_text() == left


def test_a_component_on_its_own_leaves_it_in_the_artifact_only(tmp_path, monkeypatch):
    monkeypatch.delenv(RUN_DIR_VARIABLE, raising=False)
    PART.leave(str(tmp_path / "artifact"))
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_a_later_run_is_told_again_beside_what_it_has(tmp_path, run):
    PART.leave(str(tmp_path / "artifact"))
    (run / "report" / "data.json").rename(run / "report" / "evaluation.json")

    tell_again(str(tmp_path / "artifact"))
    tell_again(str(tmp_path / "nothing"))

    assert {path.name for path in (run / "report").iterdir()} == {"data.json", "evaluation.json"}


def test_a_part_that_cannot_be_copied_is_a_warning_and_no_more(tmp_path, run):
    PART.leave(str(tmp_path / "artifact"))
    (run / "report" / "data.json").unlink()
    (run / "report" / "data.json" / "in its place").mkdir(parents=True)

    tell_again(str(tmp_path / "artifact"))

    (line,) = (run / EVENTS_FILE).read_text().splitlines()
    assert "the report lacks" in json.loads(line)["text"]


def test_an_artifact_may_stay_in_its_bucket(s3, monkeypatch, tmp_path, run):
    monkeypatch.chdir(tmp_path)
    artifact = f"{s3}/artifact"

    PART.leave(artifact)

    assert DataPart.parse(open_store(artifact).read_text("report/data.json")) == PART
    assert DataPart.parse((run / "report" / "data.json").read_text()) == PART
    assert list(tmp_path.iterdir()) == [run], "no folder named s3:"


@pytest.mark.parametrize("text", [None, "", "{", '{"layout": 3}'])
def test_what_cannot_be_read_is_missing(text):
    assert EvaluationPart.parse(text) is None
