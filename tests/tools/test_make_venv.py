"""make_venv is a no-op when it is done, and starts afresh when it was not."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import checks, make_venv

REPOSITORY = Path(make_venv.__file__).resolve().parent.parent


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose set-up runs no commands, but notes them."""
    for name in ("setup.py", "constraints.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)
    shutil.copytree(REPOSITORY / "tools", tmp_path / "tools")
    venv = tmp_path / ".venv"
    monkeypatch.setattr(make_venv, "ROOT", tmp_path)
    monkeypatch.setattr(make_venv, "VENV", venv)
    monkeypatch.setattr(make_venv, "STAMP", venv / "setup-finished")
    monkeypatch.setattr(make_venv, "CONSTRAINTS", tmp_path / "constraints.txt")
    monkeypatch.setattr(checks, "find_problems", lambda root: [])
    monkeypatch.setattr(make_venv, "_relax", lambda python: None)
    monkeypatch.setattr(make_venv, "_install", lambda python: None)
    return tmp_path


@pytest.fixture
def commands(checkout, monkeypatch):
    """The commands that a set-up runs; the first of them makes the folder."""
    noted = []

    def note(command, environment=None):
        noted.append(command)
        (checkout / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
        (checkout / ".venv" / "bin" / "python").touch()

    monkeypatch.setattr(make_venv, "_run", note)
    return noted


def test_the_second_call_does_nothing(commands):
    assert make_venv.main([]) == 0
    first = len(commands)
    assert first > 0
    assert make_venv.main([]) == 0
    assert len(commands) == first


@pytest.mark.parametrize("name", ["setup.py", "constraints.txt", "tools/relax_elf.py"])
def test_a_change_of_what_it_is_made_from_makes_it_again(checkout, commands, name):
    make_venv.main([])
    first = len(commands)
    with (checkout / name).open("a") as file:
        file.write("# changed\n")
    assert make_venv.main([]) == 0
    assert len(commands) == 2 * first


def test_a_venv_whose_python_is_gone_is_made_again(checkout, commands):
    make_venv.main([])
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert not make_venv.is_finished()


def test_a_half_made_venv_is_removed(checkout, commands):
    leftover = checkout / ".venv" / "lib" / "leftover"
    leftover.mkdir(parents=True)
    assert make_venv.main([]) == 0
    assert not leftover.exists()
    assert make_venv.is_finished()


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (make_venv.SetupError("no"), 1)]
)
def test_an_interrupted_setup_is_not_taken_as_finished(
    commands, monkeypatch, capsys, error, status
):
    assert make_venv.main([]) == 0
    (make_venv.ROOT / "constraints.txt").write_text("")

    def fail(python):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(make_venv, "_install", fail)
        assert make_venv.main([]) == status
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not make_venv.is_finished()
    assert make_venv.main([]) == 0
    assert make_venv.is_finished()


def test_an_interrupted_removal_does_not_leave_the_stamp(checkout, commands, monkeypatch):
    assert make_venv.main([]) == 0
    setup = checkout / "setup.py"
    before = setup.read_text()
    setup.write_text(before + "# changed\n")

    def interrupt(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(make_venv.shutil, "rmtree", interrupt)
        assert make_venv.main([]) == 130
    setup.write_text(before)
    assert not make_venv.is_finished()


def test_a_failing_command_is_one_line(checkout, monkeypatch, capfd):
    monkeypatch.setattr(sys, "_base_executable", "false")
    assert make_venv.main([]) == 1
    err = capfd.readouterr().err
    assert err.startswith("make venv: failed with status 1: false -m venv")
    assert len(err.splitlines()) == 1


def test_problems_stop_it_before_anything_is_made(checkout, commands, monkeypatch, capsys):
    problem = checks.Problem("a C++ compiler is missing", ("g++",))
    monkeypatch.setattr(checks, "find_problems", lambda root: [problem])
    assert make_venv.main([]) == 1
    assert capsys.readouterr().err.startswith("make venv: a C++ compiler is missing. Mend: ")
    assert commands == []


def test_missing_packages_are_installed_where_that_is_asked_for(commands, monkeypatch, capsys):
    problems = [checks.Problem("a C++ compiler is missing", ("g++",))]
    monkeypatch.setattr(checks, "find_problems", lambda root: list(problems))
    monkeypatch.setattr(checks, "can_install", lambda problems: bool(problems))
    monkeypatch.setattr(checks, "install_packages", lambda packages: problems.clear())
    assert make_venv.main(["--install-missing"]) == 0
    assert "installing Debian packages: g++" in capsys.readouterr().out


@pytest.fixture
def no_browser(commands, monkeypatch):
    """A host without Chromium; installing it, where it is tried, makes it appear."""
    installed = []
    missing = checks.Problem("Chromium is missing, so tests are SKIPPED", ("chromium",))
    monkeypatch.setattr(checks, "browser_problem", lambda: None if installed else missing)
    monkeypatch.setattr(checks, "install_packages", installed.extend)
    return installed


def test_only_the_tests_have_a_browser_installed(no_browser, monkeypatch):
    monkeypatch.setattr(checks, "can_install", lambda problems: True)
    assert make_venv.main(["--install-missing"]) == 0
    assert no_browser == []
    assert make_venv.main(["--install-missing", "--for-tests"]) == 0
    assert no_browser == ["chromium"]


def test_a_host_that_may_not_install_is_told_what_is_skipped(no_browser, monkeypatch, capsys):
    monkeypatch.setattr(checks, "can_install", lambda problems: False)
    assert make_venv.main(["--install-missing", "--for-tests"]) == 0
    assert no_browser == []
    out = capsys.readouterr().out
    assert "WARNING: Chromium is missing, so tests are SKIPPED. Mend: " in out
    assert "apt-get install chromium" in out


def test_a_finished_setup_is_seen_within_a_second(checkout):
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").touch()
    code = "from tools import make_venv as m; m.STAMP.write_text(m.digest())"
    subprocess.run([sys.executable, "-c", code], cwd=checkout, check=True)
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tools.make_venv"], cwd=checkout, capture_output=True
    )
    assert time.monotonic() - begin < 1
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_two_setups_of_one_checkout_wait_for_each_other(checkout):
    folder = os.open(checkout, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    code = "from tools import make_venv as m; m.is_finished = lambda: True; m.main([])"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=checkout, stdout=subprocess.PIPE, text=True
    ) as other:
        assert "waiting for another" in other.stdout.readline()
        assert other.poll() is None
        os.close(folder)
        assert other.wait(timeout=20) == 0
