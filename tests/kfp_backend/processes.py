"""Starts the commands of tasks: as they are, or as children of a process that has imported TFX.

Importing TFX takes longer than a small task does. The template process has imported it and run
nothing; it forks for each `python -m MODULE ARGUMENTS`, and the child runs that module with these
arguments. Such a child does what the command would, but starts sooner.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]


class Processes(Protocol):
    """A way to run a command."""

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        timeout: float | None,
    ) -> int:
        """Runs a command to its end, its output going to a file; returns its exit status."""
        ...


def image_environment() -> dict[str, str]:
    """Returns what the image would set: this interpreter first, and these sources."""
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    return {"PATH": path, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class ColdProcesses:
    """Each command in a new process."""

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        timeout: float | None,
    ) -> int:
        """Runs a command; after `timeout` seconds it is killed with all that it has started."""
        program = shutil.which(command[0], path=environment["PATH"])
        if program is None:
            raise FileNotFoundError(f"the image has no '{command[0]}'")
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [program, *command[1:]],
                env=dict(environment),
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


@dataclass(frozen=True)
class ForkedProcesses:
    """Each `python -m` command in a fork of one process; others as they are."""

    template: subprocess.Popen[str]

    @classmethod
    @contextlib.contextmanager
    def started(cls, *modules: str) -> Iterator["ForkedProcesses"]:
        """Starts the template process, and ends it.

        Args:
            *modules: what it imports first.
        """
        template = subprocess.Popen(
            [sys.executable, "-m", "tests.kfp_backend.template", *modules],
            env={**os.environ, **image_environment()},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield cls(template)
        finally:
            assert template.stdin is not None
            template.stdin.close()
            template.wait(60)

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        timeout: float | None,
    ) -> int:
        """Runs a command; after `timeout` seconds it is killed with all that it has started."""
        if list(command[1:2]) != ["-m"] or not command[0].startswith("python"):
            return ColdProcesses().run(command, environment, log, timeout)
        assert self.template.stdin is not None
        assert self.template.stdout is not None
        order = {
            "module": command[2],
            "arguments": list(command[3:]),
            "environment": dict(environment),
            "log": str(log),
            "timeout": timeout,
        }
        self.template.stdin.write(json.dumps(order) + "\n")
        self.template.stdin.flush()
        answer = self.template.stdout.readline()
        if not answer:
            raise RuntimeError(f"the template process ended with {self.template.wait()}")
        return int(answer)
