"""What a machine must have before .venv can be made, each told in one line with its mend."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)
# The packages take 3.3 GB (hard links: the installer's cache holds the same files), and a
# run of the pipeline wants some room too.
DISK_GB = 5


@dataclass(frozen=True)
class Problem:
    """Something that is missing, and the Debian packages or the words that mend it."""

    what: str
    packages: tuple[str, ...] = ()
    mend: str = ""


def find_problems(root: Path) -> list[Problem]:
    """Return all that keeps .venv from being made in `root`."""
    # On the wrong Python or platform the other checks would ask about the wrong things.
    fatal = python_problem() or platform_problem()
    if fatal:
        return [fatal]
    found = (venv_problem(), headers_problem(), compiler_problem(), disk_problem(root))
    return [problem for problem in found if problem]


def describe(problems: list[Problem]) -> str:
    """Put the problems and their mends into one line."""
    what = "; ".join(problem.what for problem in problems)
    packages = missing_packages(problems)
    mends = [problem.mend for problem in problems if problem.mend]
    if packages:
        sudo = "" if os.geteuid() == 0 else "sudo "
        mends.insert(0, f"{sudo}apt-get install {' '.join(packages)}")
    return f"{what}. Mend: {'; '.join(mends)}"


def missing_packages(problems: list[Problem]) -> list[str]:
    """Return the Debian packages that mend the problems."""
    return [package for problem in problems for package in problem.packages]


def can_install(problems: list[Problem]) -> bool:
    """Tell whether this process may install packages that mend some of the problems."""
    return bool(missing_packages(problems)) and os.geteuid() == 0 and bool(shutil.which("apt-get"))


def install_packages(packages: list[str]) -> None:
    """Install Debian packages, as root."""
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", "-q", *arguments], env=environment, check=True)


def python_problem(version: tuple[int, int] = sys.version_info[:2]) -> Problem | None:
    """Check the version of the Python that runs this."""
    if OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        return None
    names = [f"python3.{minor}" for minor in range(OLDEST_PYTHON[1], NEWEST_PYTHON[1] + 1)]
    here = [name for name in names if _runs(name)]
    install = "" if here else f"apt-get install {names[0]}-venv {names[0]}-dev, then "
    supported = " to ".join(f"{major}.{minor}" for major, minor in (OLDEST_PYTHON, NEWEST_PYTHON))
    return Problem(
        f"Python {version[0]}.{version[1]} is not supported, {supported} are",
        mend=f"{install}make venv PYTHON={(here or names)[0]}",
    )


def glibc_version() -> tuple[int, ...] | None:
    """Return the version of the C library, None if that is another one than glibc."""
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError):
        return None
    return tuple(int(part) for part in name.split()[1].split(".")) if name else None


def platform_problem(
    system: str = sys.platform, machine: str = platform.machine(), has_glibc: bool | None = None
) -> Problem | None:
    """Check for the only platform that all of TFX has wheels for."""
    if has_glibc is None:
        has_glibc = glibc_version() is not None
    if system == "linux" and machine == "x86_64" and has_glibc:
        return None
    return Problem(
        f"{system} on {machine}{'' if has_glibc else ' without glibc'} is not supported: "
        "TFX has wheels for Linux on x86_64 with glibc only",
        mend="use such a machine or container, for example Debian 12 or 13 on amd64",
    )


def venv_problem() -> Problem | None:
    """Check for the standard modules that Debian packages apart from Python."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return None
    return Problem("venv and ensurepip are missing from Python", (_versioned("venv"),))


def headers_problem(include: str = sysconfig.get_path("include")) -> Problem | None:
    """Check for the Python headers; pyfarmhash has no wheel and is compiled."""
    if Path(include, "Python.h").is_file():
        return None
    return Problem("the Python headers are missing", (_versioned("dev"),))


def compiler_problem() -> Problem | None:
    """Check for the compilers that this Python builds extensions with."""
    for variable, default in (("CC", "cc"), ("CXX", "c++")):
        command = os.environ.get(variable) or sysconfig.get_config_var(variable) or default
        if not shutil.which(command.split()[0]):
            return Problem("a C++ compiler is missing", ("g++",))
    return None


def browser_problem() -> Problem | None:
    """Check for the browser that the tests look at pages with; nothing else needs it."""
    if shutil.which("chromium"):
        return None
    return Problem("Chromium is missing, so the tests of the pages are SKIPPED", ("chromium",))


def disk_problem(root: Path, needed_gb: float = DISK_GB) -> Problem | None:
    """Check for the space that the packages take."""
    free_gb = shutil.disk_usage(root).free / 1e9
    if free_gb >= needed_gb:
        return None
    return Problem(
        f"{free_gb:.1f} GB are free at {root}, {needed_gb} GB are needed",
        mend="free some, or move the checkout to a larger disk",
    )


def _runs(command: str) -> bool:
    """Tell whether the command works; a version manager's placeholder may not."""
    return (
        bool(shutil.which(command))
        and not subprocess.run(
            [command, "-c", ""], stderr=subprocess.DEVNULL, check=False
        ).returncode
    )


def _versioned(suffix: str) -> str:
    """Name the Debian package of the running Python, which need not be the default one."""
    return f"python{sys.version_info[0]}.{sys.version_info[1]}-{suffix}"
