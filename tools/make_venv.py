"""Make .venv: the packages of setup.py in the versions of constraints.txt.

Run by `make venv` with the system's Python. A stamp is written last, so an interrupted
set-up is done again from the start, and a finished one is left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools import checks

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "setup-finished"
CONSTRAINTS = ROOT / "constraints.txt"
EXTRAS = "demo,dev,kfp,s3,gcs"

# These two wheels are built for glibc 2.39; tools/relax_elf.py tells more.
RELAXED = (
    "ml_metadata/metadata_store/pywrap/metadata_store_extension.so",
    "tensorflow_data_validation/pywrap/tensorflow_data_validation_extension.so",
)
_WHEELS_GLIBC = (2, 39)
_WHEELS_PLATFORM = "x86_64-manylinux_2_40"


class SetupError(Exception):
    """The set-up cannot go on; the message is one line that says how to mend it."""


def main(arguments: list[str] | None = None) -> int:
    """Make .venv unless it is there already; return the exit status."""
    parser = argparse.ArgumentParser(prog="make venv", description=__doc__)
    parser.add_argument(
        "--install-missing",
        action="store_true",
        help="install missing Debian packages, if run by root where there is apt-get",
    )
    parser.add_argument(
        "--for-tests", action="store_true", help="see to what only the tests need, too"
    )
    options = parser.parse_args(arguments)
    try:
        with _Lock(ROOT):
            if not is_finished():
                ensure_prerequisites(options.install_missing)
                build()
            if options.for_tests:
                ensure_browser(options.install_missing)
    except (SetupError, OSError) as error:
        print(f"make venv: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make venv: interrupted; the next call starts afresh", file=sys.stderr)
        return 130
    return 0


def digest() -> str:
    """Return a digest of all that decides what .venv holds."""
    python = f"{sys.version_info[:2]} {sys.base_prefix} {ROOT}"
    result = hashlib.sha256(python.encode())
    for path in [ROOT / "setup.py", CONSTRAINTS, *sorted((ROOT / "tools").glob("*.py"))]:
        result.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return result.hexdigest()


def is_finished() -> bool:
    """Tell whether .venv was made to the end from what is here now."""
    # The link to a Python that was removed since does not exist.
    if not (STAMP.is_file() and (VENV / "bin" / "python").exists()):
        return False
    return STAMP.read_text() == digest()


def ensure_prerequisites(install_missing: bool) -> None:
    """Check the machine, and install what it lacks if that is asked for and allowed."""
    problems = checks.find_problems(ROOT)
    if install_missing and checks.can_install(problems):
        packages = checks.missing_packages(problems)
        print(f"make venv: installing Debian packages: {' '.join(packages)}", flush=True)
        try:
            checks.install_packages(packages)
        except subprocess.CalledProcessError as error:
            raise SetupError(f"apt-get failed. {checks.describe(problems)}") from error
        problems = checks.find_problems(ROOT)
    if problems:
        raise SetupError(checks.describe(problems))


def ensure_browser(install_missing: bool) -> None:
    """Install the browser that the tests look at pages with, or say loudly what is skipped."""
    problem = checks.browser_problem()
    if problem and install_missing and checks.can_install([problem]):
        print(f"make venv: installing Debian packages: {' '.join(problem.packages)}", flush=True)
        with contextlib.suppress(subprocess.CalledProcessError):
            checks.install_packages(list(problem.packages))
        problem = checks.browser_problem()
    if problem:
        line = "=" * 79
        print(f"{line}\nmake venv: WARNING: {checks.describe([problem])}\n{line}", flush=True)


def build() -> None:
    """Make .venv from nothing."""
    begin = time.monotonic()
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"make venv: filling {VENV} (Python {version}), some minutes at first", flush=True)
    if VENV.exists():
        STAMP.unlink(missing_ok=True)
        shutil.rmtree(VENV)
    # Not sys.executable: that may be the very .venv which was just removed.
    _run([getattr(sys, "_base_executable", sys.executable), "-m", "venv", str(VENV)])
    python = str(VENV / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "-c", str(CONSTRAINTS), "uv"])
    _install(python)
    _relax(python)
    STAMP.write_text(digest())
    print(f"make venv: done in {time.monotonic() - begin:.0f} s")


def _install(python: str) -> None:
    """Install the project and its dependencies by uv, which is ten times as fast as pip."""
    from tools import uv

    command, environment = uv.command_and_environment(python)
    constraints = str(CONSTRAINTS)
    command += ["pip", "install", "--python", python]
    command += ["--constraints", constraints, "--build-constraints", constraints]
    if (checks.glibc_version() or ()) < _WHEELS_GLIBC:
        command += ["--python-platform", _WHEELS_PLATFORM]
    if not sys.stderr.isatty():
        command.append("--quiet")  # two hundred lines of packages in a log help nobody
    _run([*command, "--editable", f"{ROOT}[{EXTRAS}]"], environment)


def _relax(python: str) -> None:
    """See to it that the two extension modules load on this host."""
    from tools.relax_elf import RelaxError, relax_file

    code = "import sysconfig; print(sysconfig.get_path('platlib'))"
    packages = Path(subprocess.check_output([python, "-c", code]).decode().strip())
    for name in RELAXED:
        try:
            if relax_file(packages / name, python):
                print(f"make venv: edited a copy of {name} to load on this older host")
        except RelaxError as error:
            raise SetupError(f"{packages / name}: {error}") from error


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    try:
        subprocess.run(command, env=environment, cwd=str(ROOT), check=True)
    except subprocess.CalledProcessError as error:
        raise SetupError(
            f"failed with status {error.returncode}: {' '.join(command)} (its message is above)"
        ) from error


class _Lock:
    """Keeps two set-ups of one checkout apart; a lock on the folder leaves no file behind."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(str(folder), os.O_RDONLY)

    def __enter__(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("make venv: waiting for another set-up of this checkout", flush=True)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


if __name__ == "__main__":
    sys.exit(main())
