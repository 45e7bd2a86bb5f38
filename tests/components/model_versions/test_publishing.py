"""Publishing: complete before visible, once a model, never a number twice, only what was judged."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from components.errors import OutputError
from components.model_versions import (
    PushWithheldError,
    Version,
    list_versions,
    model_digest,
    promote,
    publish,
    publishing,
    release,
    remove_old,
    roll_back,
    serving_state,
    serving_version,
    withdraw,
)
from components.model_versions import folder as folder_module


def publish_it(model: Path, serving: Path, **facts: str) -> tuple[Version, bool]:
    return publish(model, serving, schema=None, facts=facts)


def visible(serving: Path) -> list[str]:
    return sorted(name for name in os.listdir(serving) if not name.startswith("."))


def numbers(serving: Path) -> list[int]:
    return [version.number for version in list_versions(serving)]


def test_a_version_carries_the_model_its_schema_and_facts(
    saved_model: Path, serving: Path, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.pbtxt"
    schema.write_text("feature {}")
    version, new = publish(saved_model, serving, schema=schema, facts={"run_id": "r1"})
    assert new
    assert version.path == serving / "1"
    assert version.facts["run_id"] == "r1"
    assert version.schema is not None
    assert version.schema.read_text() == "feature {}"
    assert (version.path / "variables" / "variables.index").read_bytes() == b"weights first"
    assert model_digest(version.path) == version.digest == model_digest(saved_model)


def test_the_model_that_serves_is_not_published_again(saved_model: Path, serving: Path) -> None:
    first, _ = publish_it(saved_model, serving)
    again, new = publish_it(saved_model, serving)
    assert (again, new) == (first, False)
    assert visible(serving) == ["1"]


def test_numbers_grow_and_the_highest_serves(saved_model: Path, serving: Path) -> None:
    publish_it(saved_model, serving)
    (saved_model / "saved_model.pb").write_bytes(b"another graph")
    publish_it(saved_model, serving)
    (saved_model / "saved_model.pb").write_bytes(b"graph")
    third, new = publish_it(saved_model, serving)
    assert (third.number, new) == (3, True)
    assert serving_version(serving) == third


def test_a_broken_folder_neither_serves_nor_is_written_to(saved_model: Path, serving: Path) -> None:
    publish_it(saved_model, serving)
    (serving / "7").mkdir()
    shutil.copy(saved_model / "variables" / "variables.index", serving / "7")
    found = serving_version(serving)
    assert found is not None
    assert found.number == 1
    (saved_model / "saved_model.pb").write_bytes(b"another graph")
    version, _ = publish_it(saved_model, serving)
    assert version.number == 8


def test_a_failure_on_the_way_leaves_nothing_visible(
    saved_model: Path, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_it(saved_model, serving)
    (saved_model / "saved_model.pb").write_bytes(b"another graph")

    def full_disk(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publishing, "flush_tree", full_disk)
    with pytest.raises(OSError, match="No space"):
        publish_it(saved_model, serving)
    assert not list(serving.glob(".staging-*"))
    assert visible(serving) == ["1"]


def test_what_is_not_surely_on_the_disk_goes_out_of_sight_again(
    saved_model: Path, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_it(saved_model, serving)
    (saved_model / "saved_model.pb").write_bytes(b"another graph")

    def failing_disk(path: Path) -> None:
        if path == serving:
            assert visible(serving) == ["1", "2"]
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(folder_module, "flush", failing_disk)
    with pytest.raises(OSError, match="Input/output"):
        publish_it(saved_model, serving)
    assert visible(serving) == ["1"]
    assert not list(serving.glob(".staging-*"))


def test_leftovers_of_a_killed_push_are_removed(saved_model: Path, serving: Path) -> None:
    leftover = serving / ".staging-0123"
    leftover.mkdir(parents=True)
    (leftover / "saved_model.pb").write_bytes(b"half")
    assert serving_version(serving) is None
    publish_it(saved_model, serving)
    assert visible(serving) == ["1"]
    assert not leftover.exists()


def test_a_version_from_elsewhere_serves_but_has_no_digest(
    saved_model: Path, serving: Path
) -> None:
    shutil.copytree(saved_model, serving / "5")
    version = serving_version(serving)
    assert version is not None
    assert (version.number, version.digest, version.facts) == (5, "", {})


def test_the_digest_sees_names_and_bytes_but_not_the_extras(saved_model: Path) -> None:
    before = model_digest(saved_model)
    (saved_model / "assets.extra").mkdir()
    (saved_model / "assets.extra" / "model.json").write_text(json.dumps({}))
    assert model_digest(saved_model) == before
    (saved_model / "variables" / "variables.index").rename(saved_model / "variables" / "other")
    assert model_digest(saved_model) != before


def test_a_model_judged_against_what_serves_is_published(push, serving):
    push("one", expected="none")
    version, new = push("two", expected=serving_state(serving_version(serving)))
    assert (version.number, new) == (2, True)


def test_a_model_judged_against_another_version_is_withheld(push, serving):
    push("one")
    judged = serving_state(serving_version(serving))
    push("two")
    with pytest.raises(
        PushWithheldError, match=r"version 2 \(content .*\) serves now, but versi.* 1"
    ):
        push("three", expected=judged)
    with pytest.raises(PushWithheldError, match="but no version did when the candidate was judged"):
        push("three", expected="none")
    assert visible(serving) == ["1", "2"]


def test_a_version_replaced_in_place_is_another_one(push, serving, saved_model):
    shutil.copytree(saved_model, serving / "1")
    judged = serving_state(serving_version(serving))
    (serving / "1" / "saved_model.pb").write_bytes(b"replaced")
    with pytest.raises(PushWithheldError, match="version 1"):
        push("two", expected=judged)


def test_what_serves_is_unchanged_whatever_was_expected_and_on_hold_too(push, three):
    roll_back(three)
    assert push("two", expected="none")[1] is False


def test_while_on_hold_nothing_is_published(push, three):
    roll_back(three)
    with pytest.raises(PushWithheldError, match=r"went back from version 3 to 2.* models release"):
        push("four")
    assert visible(three) == ["1", "2"]
    release(three)
    assert push("four")[0].number == 4


@pytest.mark.parametrize("content", ["two", "three"])
def test_a_model_that_was_taken_back_comes_back_by_a_person_only(push, three, content):
    """Also one that was gone past, and while the hold is still set."""
    roll_back(three, 1)
    number = {"two": 2, "three": 3}[content]
    told = f"version {number}, which was taken back by hand; 'effnet models promote {number}'"
    with pytest.raises(PushWithheldError, match=told):
        push(content)
    release(three)
    with pytest.raises(PushWithheldError, match=told):
        push(content)
    assert push("four")[0].number == 4
    promote(three, number)
    assert push(content)[1] is False


def test_a_model_that_was_taken_back_is_known_without_its_record(push, three):
    roll_back(three)
    release(three)
    (three / ".withdrawn" / "3" / "assets.extra" / "model.json").write_text("{")
    with pytest.raises(PushWithheldError, match="is version 3"):
        push("three")


def test_a_model_that_was_taken_back_stays_away_once_it_is_removed(push, three):
    roll_back(three)
    release(three)
    push("four", keep=2)
    assert numbers(three) == [2, 4]
    with pytest.raises(PushWithheldError, match=r"was version 3, .* remove '(.*)' to let") as told:
        push("three")
    Path(re.search("remove '(.*)'", str(told.value))[1]).unlink()
    assert push("three")[0].number == 5


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"abc\n"])
def test_a_damaged_record_of_what_was_taken_back_is_told(push, three, content):
    """It may be that of the very model."""
    roll_back(three)
    release(three)
    push("four", keep=2)
    record = three / ".withdrawn" / "3.digest"
    record.write_bytes(content)
    with pytest.raises(OutputError, match=f"'{record}' is damaged.* if version 3 may be pushed"):
        push("three")
    assert visible(three) == ["2", "4"]
    record.unlink()
    assert push("three")[0].number == 5


def test_a_model_that_the_cluster_did_not_take_may_be_pushed_again(push, three):
    withdraw(three, 3)
    assert (three / ".failed" / "3").is_dir()
    version, new = push("three")
    assert (version.number, new) == (4, True)


def test_what_a_person_took_back_is_no_failure_of_the_cluster(push, three):
    roll_back(three)
    release(three)
    withdraw(three, 3)
    with pytest.raises(PushWithheldError, match="is version 3"):
        push("three")


def test_a_version_that_failed_can_be_promoted(three):
    withdraw(three, 3)
    assert promote(three, 3) == serving_version(three)


def test_the_highest_number_stays_so_that_it_is_not_given_again(push, three):
    """As where a rollback comes between a push and the removal."""
    roll_back(three)
    remove_old(three, 2)
    assert numbers(three) == [1, 2, 3]
    release(three)
    assert push("four")[0].number == 4


def test_a_damaged_record_of_what_serves_is_told(push, three):
    (three / "3" / "assets.extra" / "model.json").write_text('{"digest": "0')
    with pytest.raises(
        OutputError, match=r"'.*/3/assets.extra/model.json' is damaged.*from a copy"
    ):
        push("four")
    assert visible(three) == ["1", "2", "3"]


def test_the_number_of_a_withdrawn_version_stays_taken(push, three):
    roll_back(three, 1)
    release(three)
    assert push("four")[0].number == 4
    assert serving_version(three).number == 4


def test_the_oldest_versions_beyond_those_to_keep_go(push, three):
    push("four", keep=3)
    assert numbers(three) == [2, 3, 4]
    push("four", keep=2)
    assert numbers(three) == [2, 3, 4], "nothing was pushed"
    push("five", keep=2)
    assert numbers(three) == [4, 5]
    assert not list(three.glob(".staging-*"))


def test_withdrawn_versions_count_and_what_a_rollback_needs_stays(push, three):
    roll_back(three, 1)
    release(three)
    push("four", keep=3)
    assert numbers(three) == [1, 3, 4]
    push("five", keep=2)
    assert numbers(three) == [4, 5]
    roll_back(three)
    release(three)
    push("six", keep=2)
    assert numbers(three) == [4, 6]


def test_a_version_that_is_a_link_goes_without_what_it_points_to(push, serving, saved_model):
    serving.mkdir(parents=True)
    (serving / "1").symlink_to(saved_model)
    push("two")
    push("three", keep=2)
    assert numbers(serving) == [2, 3]
    assert (saved_model / "saved_model.pb").is_file()


def test_old_versions_that_cannot_be_removed_do_not_fail_the_push(push, three, monkeypatch):
    warnings: list[str] = []
    monkeypatch.setattr(publishing.run_events, "warn", warnings.append)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(publishing.os, "rename", refuse)
    monkeypatch.setattr(publishing, "move", lambda source, target: source.replace(target))
    version, new = push("four", keep=2)
    assert (version.number, new) == (4, True)
    assert "Permission denied" in warnings[0]


def test_a_withdrawn_version_can_be_promoted_after_a_push(push, three):
    roll_back(three)
    release(three)
    push("four")
    assert promote(three, 3).number == 3
    assert visible(three) == ["1", "2", "3"]
