import subprocess
import sys
import time

import pytest

from components.errors import OutputError
from pipeline.lock import hold

HOLDER = """
import sys, time
from pathlib import Path
from pipeline.lock import hold
with hold(Path(sys.argv[1]), "run 7", 0, print):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def hold_elsewhere(tmp_path, environment):
    """Holds the lock in another process, which is gone after the test."""
    started = []

    def start(seconds):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path / ".lock"), str(seconds)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_second_waits_and_says_once_for_whom(tmp_path, hold_elsewhere):
    process, notes = hold_elsewhere(1), []

    with hold(tmp_path / ".lock", "run 8", 30, notes.append):
        assert process.wait(10) == 0

    (note,) = notes
    assert "run 7" in note
    assert str(process.pid) in note


def test_the_second_gives_up_after_the_stated_time(tmp_path, hold_elsewhere):
    hold_elsewhere(60)
    began = time.monotonic()

    with (
        pytest.raises(OutputError, match=r"run 7 .* after 0\.5 seconds"),
        hold(tmp_path / ".lock", "run 8", 0.5, lambda text: None),
    ):
        pass

    assert 0.5 <= time.monotonic() - began < 30


def test_a_killed_holder_leaves_no_lock_behind(tmp_path, hold_elsewhere):
    process = hold_elsewhere(60)
    process.kill()
    process.wait()

    with hold(tmp_path / ".lock", "run 8", 0, pytest.fail):
        pass


def test_the_folder_is_made(tmp_path):
    with hold(tmp_path / "new" / "folder" / ".lock", "run 8", 0, pytest.fail):
        assert (tmp_path / "new" / "folder").is_dir()


def test_an_error_inside_is_not_taken_for_the_folders(tmp_path):
    with (
        pytest.raises(FileNotFoundError),
        hold(tmp_path / ".lock", "run 8", 0, pytest.fail),
    ):
        (tmp_path / "missing").read_text()
