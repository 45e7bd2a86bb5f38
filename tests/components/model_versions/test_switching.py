"""Every order of going back and forth, and every instant at which it can be cut off."""

import fcntl
import json
import os
import shutil
import threading
import time

import pytest

from components.errors import OutputError
from components.model_versions import (
    VersionError,
    list_versions,
    model_digest,
    promote,
    read_hold,
    release,
    roll_back,
    serving_version,
)


def states(model_dir):
    return {version.number: version.state for version in list_versions(model_dir)}


def test_going_back_takes_the_version_below_and_keeps_the_newer_out_of_sight(three):
    version = roll_back(three)
    assert (version.number, version.path) == (2, three / "2")
    assert serving_version(three) == version
    assert states(three) == {1: "visible", 2: "serving", 3: "withdrawn"}
    assert sorted(name for name in os.listdir(three) if name.isdecimal()) == ["1", "2"]


def test_going_back_twice_goes_further_back(three):
    roll_back(three)
    assert roll_back(three).number == 1
    assert states(three) == {1: "serving", 2: "withdrawn", 3: "withdrawn"}


def test_the_version_below_is_a_visible_one(three):
    roll_back(three)
    promote(three, 3)
    shutil.move(three / "2", three / ".withdrawn" / "2")
    assert roll_back(three).number == 1


def test_going_back_sets_a_hold_that_says_why(three):
    assert read_hold(three) is None
    roll_back(three, 1)
    hold = read_hold(three)
    assert hold.version == 1
    assert hold.why == "went back from version 3 to 1"
    assert json.loads((three / ".hold").read_text())["since"] == hold.since
    assert release(three) == hold
    assert read_hold(three) is None
    assert release(three) is None


def test_a_hold_made_by_hand_is_one(three):
    (three / ".hold").write_bytes(b"\xff")
    assert str(read_hold(three)) == "on hold"
    assert release(three) is not None


def test_going_up_sets_no_hold_and_releases_none(three):
    roll_back(three)
    release(three)
    promote(three, 3)
    assert read_hold(three) is None
    roll_back(three)
    promote(three, 3)
    assert read_hold(three).version == 2


def test_content_and_facts_travel_with_a_version(three):
    digest = model_digest(three / "3")
    roll_back(three, 1)
    version = promote(three, 3)
    assert model_digest(version.path) == version.digest == digest
    assert version.facts["run_id"] == "three"


# By name: what is done to three versions first, then the step, the one that serves before it
# and the one after it.
SWITCHES = {
    "back by one": ([], lambda d: roll_back(d), 3, 2),
    "back past one": ([], lambda d: roll_back(d, 1), 3, 1),
    "promote an older one": ([], lambda d: promote(d, 1), 3, 1),
    "promote the newest withdrawn one": ([1], lambda d: promote(d, 3), 1, 3),
    "promote one in between": ([1], lambda d: promote(d, 2), 1, 2),
    "promote a withdrawn one below": ([1, 3], lambda d: promote(d, 2), 3, 2),
    "back to a withdrawn one": ([1, 3], lambda d: roll_back(d, 2), 3, 2),
    "back past a broken one": (["broken 2"], lambda d: roll_back(d), 3, 1),
    "back under a broken one above": (["broken 9"], lambda d: roll_back(d), 3, 2),
    "promote under a broken one above": ([1, "broken 9"], lambda d: promote(d, 3), 1, 3),
}


def prepare(model_dir, steps):
    for step in steps:
        if isinstance(step, int):
            promote(model_dir, step)
        else:
            folder = model_dir / step.removeprefix("broken ")
            folder.mkdir(exist_ok=True)
            (folder / "saved_model.pb").unlink(missing_ok=True)
    (model_dir / ".hold").unlink(missing_ok=True)


@pytest.mark.parametrize("name", SWITCHES)
def test_the_asked_version_serves_and_is_the_highest_in_sight(three, name):
    steps, switch, before, after = SWITCHES[name]
    prepare(three, steps)
    assert serving_version(three).number == before

    assert switch(three) == serving_version(three)

    assert serving_version(three).number == after
    assert max(int(entry) for entry in os.listdir(three) if entry.isdecimal()) == after
    assert (read_hold(three) is not None) == (after < before)


class CutOffError(Exception):
    """Stands for the end of the process."""


def cut_off(monkeypatch, moment, model_dir, seen):
    """Ends the process before (even) or after (odd) rename number `moment // 2`."""
    rename, count = os.rename, iter(range(1000))

    def renaming(source, target):
        number = next(count)
        if number == moment // 2 and moment % 2 == 0:
            raise CutOffError
        rename(source, target)
        seen.append((serving_version(model_dir).number, read_hold(model_dir) is not None))
        if number == moment // 2:
            raise CutOffError

    monkeypatch.setattr(os, "rename", renaming)


@pytest.mark.parametrize("name", SWITCHES)
def test_cut_off_at_any_rename_the_old_or_the_new_one_serves(three, name, monkeypatch, tmp_path):
    steps, switch, before, after = SWITCHES[name]
    prepare(three, steps)
    pristine = tmp_path / "pristine"
    shutil.copytree(three, pristine)
    for moment in range(100):
        shutil.rmtree(three)
        shutil.copytree(pristine, three)
        seen: list[tuple[int, bool]] = []
        with monkeypatch.context() as patch:
            cut_off(patch, moment, three, seen)
            try:
                switch(three)
                break
            except CutOffError:
                pass
        numbers = [number for number, _ in seen]
        assert set(numbers) <= {before, after}
        assert numbers == sorted(numbers, reverse=after < before), "one change only"
        if after < before:
            assert all(held for _, held in seen), "the hold comes first"
        assert serving_version(three).number in (before, after)
        # Whatever was left, going on works.
        if serving_version(three).number != after:
            promote(three, after)
        assert serving_version(three).number == after
        assert not list(three.glob(".staging-*"))
        assert {1, 2, 3} - set(states(three)) <= ({2} if "broken 2" in steps else set())
    assert moment >= 2
    assert numbers[-1] == after


@pytest.mark.parametrize(
    ("switch", "told"),
    [
        (lambda d: roll_back(d, 7), r"no version 7; there are: 1, 2 \(serving\), 3 \(withdrawn\)"),
        (lambda d: promote(d, 7), r"no version 7; there are: 1, 2 \(serving\), 3 \(withdrawn\)"),
        (lambda d: roll_back(d, 2), "version 2 serves already"),
        (lambda d: promote(d, 2), "version 2 serves already"),
        (lambda d: roll_back(d, 3), r"newer than version 2, .* 'effnet models promote 3'"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(three, switch, told):
    roll_back(three)
    release(three)
    before = states(three)
    with pytest.raises(VersionError, match=told):
        switch(three)
    assert states(three) == before
    assert read_hold(three) is None


def test_a_copy_in_the_way_is_told_before_anything_changes(three):
    roll_back(three)
    release(three)
    shutil.copytree(three / ".withdrawn" / "3", three / "3")
    with pytest.raises(VersionError, match=r"'.*/\.withdrawn/3' is in the way of '.*/3'"):
        roll_back(three, 1)
    assert states(three) == {1: "visible", 2: "visible", 3: "serving"}
    assert read_hold(three) is None


def test_below_the_only_version_there_is_none(push, serving):
    push("one")
    with pytest.raises(VersionError, match=r"no version to go back to below version 1"):
        roll_back(serving)
    assert read_hold(serving) is None


def test_where_nothing_serves_a_withdrawn_version_can_still_be_promoted(push, serving):
    push("one")
    (serving / ".withdrawn").mkdir()
    (serving / "1").rename(serving / ".withdrawn" / "1")
    with pytest.raises(VersionError, match=r"no version serves in .* there are: 1 \(withdrawn\)"):
        roll_back(serving)
    assert promote(serving, 1) == serving_version(serving)


@pytest.mark.parametrize("switch", [roll_back, lambda d: promote(d, 1)])
def test_a_model_that_was_never_pushed_is_told_and_not_made(serving, switch):
    with pytest.raises(VersionError, match="no version was ever pushed"):
        switch(serving)
    assert not serving.exists()


def test_a_push_that_comes_first_is_not_what_a_rollback_takes_back(three):
    """Asked to leave 3, it must not go from 4 to 3."""
    told: list[str] = []

    def go_back():
        try:
            roll_back(three, wait=20)
        except VersionError as error:
            told.append(str(error))

    with open(three / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=go_back)
        thread.start()
        time.sleep(0.3)
        shutil.copytree(three / "1", three / "4")
    thread.join()
    assert "version 4 has just begun to serve: name the version to go back to" in told[0]
    assert serving_version(three).number == 4
    assert read_hold(three) is None


def test_another_writer_is_waited_for_so_long(three):
    with open(three / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match=r"writing to .* for 0\.1 seconds"):
            roll_back(three, wait=0.1)
        assert serving_version(three).number == 3
    assert roll_back(three, wait=0).number == 2
