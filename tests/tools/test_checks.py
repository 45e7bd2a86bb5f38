"""What a machine lacks is said in one line, with its mend."""

import os

import pytest

from tools import checks


@pytest.fixture
def root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def one_line(problem):
    line = checks.describe([problem])
    assert "\n" not in line
    return line


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons(version):
    assert checks.python_problem(version) is None


@pytest.mark.parametrize("version", [(3, 7), (3, 10), (3, 14)])
def test_unsupported_python_with_another_at_hand(version, monkeypatch):
    monkeypatch.setattr(checks, "_runs", lambda name: name == "python3.12")
    assert one_line(checks.python_problem(version)) == (
        f"Python {version[0]}.{version[1]} is not supported, 3.11 to 3.13 are. "
        "Mend: make venv PYTHON=python3.12"
    )


def test_unsupported_python_and_no_other(monkeypatch):
    monkeypatch.setattr(checks, "_runs", lambda name: False)
    line = one_line(checks.python_problem((3, 9)))
    assert "apt-get install python3.11-venv python3.11-dev" in line
    assert "make venv PYTHON=python3.11" in line


def test_a_version_managers_placeholder_does_not_count(tmp_path, monkeypatch):
    for name, status in (("python3.12", 127), ("python3.13", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert one_line(checks.python_problem((3, 9))).endswith("PYTHON=python3.13")


@pytest.mark.parametrize(
    ("system", "machine", "has_glibc"),
    [("linux", "aarch64", True), ("darwin", "arm64", False), ("linux", "x86_64", False)],
)
def test_unsupported_platform(system, machine, has_glibc):
    line = one_line(checks.platform_problem(system, machine, has_glibc))
    assert line.startswith(f"{system} on {machine}")
    assert "Linux on x86_64" in line


def test_missing_venv(monkeypatch, root):
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None)
    assert "Mend: apt-get install python3." in one_line(checks.venv_problem())


def test_missing_headers(tmp_path, root):
    line = one_line(checks.headers_problem(str(tmp_path)))
    assert line.startswith("the Python headers are missing. Mend: apt-get install python3.")
    (tmp_path / "Python.h").touch()
    assert checks.headers_problem(str(tmp_path)) is None


def test_missing_compiler(tmp_path, monkeypatch, root):
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = checks.compiler_problem()
    assert one_line(problem) == "a C++ compiler is missing. Mend: apt-get install g++"


def test_missing_browser(tmp_path, monkeypatch, root):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert one_line(checks.browser_problem()).endswith("Mend: apt-get install chromium")
    (tmp_path / "chromium").touch(0o755)
    assert checks.browser_problem() is None


def test_too_little_disk(tmp_path):
    assert checks.disk_problem(tmp_path, needed_gb=0) is None
    line = one_line(checks.disk_problem(tmp_path, needed_gb=10**9))
    assert f"are free at {tmp_path}, 1000000000 GB are needed" in line


def test_several_problems_are_one_line_and_one_command(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    problems = [
        checks.Problem("no headers", ("python3.11-dev",)),
        checks.Problem("no compiler", ("g++",)),
        checks.Problem("no space", mend="free some"),
    ]
    assert checks.describe(problems) == (
        "no headers; no compiler; no space. "
        "Mend: sudo apt-get install python3.11-dev g++; free some"
    )


def test_only_root_installs_and_only_packages(monkeypatch, root):
    monkeypatch.setattr(checks.shutil, "which", lambda name: f"/usr/bin/{name}")
    missing = checks.Problem("no compiler", ("g++",))
    assert checks.can_install([missing])
    assert not checks.can_install([checks.Problem("no space", mend="free some")])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not checks.can_install([missing])


def test_this_machine_has_all_that_made_the_venv(tmp_path):
    assert checks.python_problem() is None
    assert checks.platform_problem() is None
