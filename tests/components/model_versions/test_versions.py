import shutil
import threading

import pytest

from components.errors import OutputError
from components.model_versions import (
    Version,
    list_versions,
    promote,
    roll_back,
    serving_state,
    serving_version,
    versions,
)


def test_versions_are_told_with_their_state_and_facts(three):
    roll_back(three)
    found = list_versions(three)
    assert [(version.number, version.state) for version in found] == [
        (1, "visible"),
        (2, "serving"),
        (3, "withdrawn"),
    ]
    assert [version.facts["run_id"] for version in found] == ["one", "two", "three"]
    assert found[2].path == three / ".withdrawn" / "3"
    assert serving_version(three) == found[1]


def test_where_nothing_was_pushed_there_is_nothing(serving):
    assert list_versions(serving) == []
    assert serving_version(serving) is None
    assert serving_state(None) == "none"


def test_the_state_is_number_and_digest(three):
    version = serving_version(three)
    assert serving_state(version) == f"3:{version.digest}"


def test_entries_that_are_no_versions_are_passed_over(three, tmp_path):
    (three / "9").mkdir()
    (three / "10").write_text("a file")
    (three / "11").symlink_to(tmp_path / "nowhere")
    (three / "²").mkdir()
    (three / "notes").mkdir()
    assert [version.number for version in list_versions(three)] == [1, 2, 3]


def test_a_version_that_has_vanished_has_no_facts(tmp_path):
    gone = Version(3, tmp_path / "3")
    assert (gone.facts, gone.digest, gone.training, gone.schema) == ({}, "", {}, None)


@pytest.mark.parametrize("text", ['{"digest": ', "[]", "\udcff"])
@pytest.mark.parametrize("name", ["model.json", "training.json"])
def test_a_damaged_record_is_told_with_its_file(three, name, text):
    file = three / "3" / "assets.extra" / name
    file.write_text(text, errors="surrogateescape")
    version = serving_version(three)
    with pytest.raises(OutputError, match=f"'{file}' is damaged .* move '{three / '3'}' out"):
        _ = version.facts if name == "model.json" else version.training


def test_a_change_between_listing_and_looking_is_noticed(three, monkeypatch):
    """Listed as 1, 2, 3; then 3 and 2 go: what is left must not be 2."""
    honest = versions._complete_versions
    calls = []

    def late(*entries):
        if not calls:
            shutil.rmtree(three / "2")
            (three / "3").rename(three / ".gone")
        calls.append(entries)
        return honest(*entries)

    monkeypatch.setattr(versions, "_complete_versions", late)
    assert serving_version(three).number == 1
    assert len(calls) == 2


@pytest.mark.timeout(30)
def test_readers_never_meet_a_third_version_while_a_writer_works(three):
    """1 and 3 serve in turn, by a rollback past 2 and a promotion."""
    seen, done = set(), threading.Event()

    def write():
        try:
            for _ in range(40):
                roll_back(three, 1)
                promote(three, 3)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        seen.add(serving_version(three).number)
    writer.join()
    assert seen <= {1, 3}
