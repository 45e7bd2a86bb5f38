"""Runs a compiled package by its own commands: `python -m tests.kfp_backend PACKAGE FOLDER`.

Prints what became of each task and the seconds of each attempt. What the package names (data,
output) must be there on this machine.
"""

import argparse
import contextlib
import sys
import time
from pathlib import Path

import yaml

from tests.kfp_backend.backend import Backend
from tests.kfp_backend.metadata import FAILED
from tests.kfp_backend.package import read_package
from tests.kfp_backend.processes import ColdProcesses, ForkedProcesses


def main() -> None:
    """Runs one package, once or several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("folder", type=Path, help="of the objects; made if it isn't there")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument(
        "--fork", nargs="+", metavar="MODULE", help="fork from a process that has imported these"
    )
    options = parser.parse_args()
    pairs = (text.partition("=")[::2] for text in options.set)
    parameters = {name: yaml.safe_load(value) for name, value in pairs}
    with contextlib.ExitStack() as stack:
        forked = options.fork and stack.enter_context(ForkedProcesses.started(*options.fork))
        backend = Backend(options.folder, forked or ColdProcesses())
        states = [_run(backend, options.package, parameters) for _ in range(options.runs)]
    sys.exit(FAILED in states)


def _run(backend: Backend, package: Path, parameters: dict[str, object]) -> str:
    began = time.monotonic()
    run = backend.run(read_package(package), parameters)
    for name, task in run.tasks.items():
        seconds = ", ".join(f"{value:.1f} s" for value in task.seconds)
        print(f"{name:20} {task.state:10} {seconds} {task.reason}")
        if task.state == FAILED:
            print(backend.logs(run, name)[-4000:])
    print(f"{run.state} after {time.monotonic() - began:.1f} s")
    return run.state


if __name__ == "__main__":
    main()
