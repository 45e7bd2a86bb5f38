"""Runs the pipeline in a child process, follows what it tells, and sees it to its end.

The command itself imports neither TensorFlow nor TFX, so it answers at once, and it outlives
whatever ends the child: an exception, the kernel's out-of-memory killer, a segmentation fault.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from components.run_events import RUN_DIR_VARIABLE
from pipeline.layout import RunFolder
from pipeline.progress import LineTail, Progress, apply_line

_POLL_SECONDS = 0.1
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 64_000
_TAIL_LINES = 15


class Watcher(Protocol):
    """Who is shown the run as it goes on."""

    def on_event(self, event: dict, progress: Progress) -> None:
        """An event was taken in."""

    def on_log(self, line: str) -> None:
        """The libraries printed a line."""


@dataclass(frozen=True)
class End:
    """How the child ended."""

    returncode: int
    interrupted_by: signal.Signals | None = None

    def describe(self) -> str:
        """Says it in words."""
        if self.interrupted_by is not None:
            return f"the run was stopped by {self.interrupted_by.name}"
        if self.returncode >= 0:
            return f"the pipeline's process ended with status {self.returncode} and left no outcome"
        name = signal.Signals(-self.returncode).name
        hint = ", which is how the kernel ends a process when memory runs out"
        return f"the pipeline's process was killed by {name}{hint if name == 'SIGKILL' else ''}"


def supervise(
    command: Sequence[str],
    run: RunFolder,
    lock: int,
    progress: Progress,
    watcher: Watcher,
    grace: float = 10.0,
) -> End:
    """Runs a command to its end.

    Args:
        command: the child's; it gets EFFNET_RUN_DIR and prints into the run's log.
        run: the run's folder, which is there.
        lock: descriptor of the output's lock, which the child shares.
        progress: takes the events in.
        watcher: is told of each event and each line of the log.
        grace: seconds that a stopped child has to end by itself.
    """
    with _forwarded_signals(grace) as stop:
        child = _start(command, run, lock)
        try:
            stop.attach(child)
            _follow(child, run, progress, watcher, stop)
        finally:
            _end_group(child)
    return End(child.returncode, stop.received)


def _start(command: Sequence[str], run: RunFolder, lock: int) -> subprocess.Popen:
    with open(run.log, "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, RUN_DIR_VARIABLE: str(run.path), "PYTHONUNBUFFERED": "1"},
            pass_fds=(lock,),
            # A session of its own: Ctrl-C reaches the child only by way of _Stop.
            start_new_session=True,
            preexec_fn=_dies_with_parent(),
        )


class _Stop:
    """Whether the user wants the run to end: first the child is asked to, then it is made to."""

    def __init__(self, grace: float):
        self.received: signal.Signals | None = None
        self._grace = grace
        self._deadline = float("inf")
        self._child: subprocess.Popen | None = None

    @property
    def is_overdue(self) -> bool:
        """Tells whether the child was asked to end and has had its time."""
        return time.monotonic() > self._deadline

    def attach(self, child: subprocess.Popen) -> None:
        """Passes signals on from now on, and the one that came while the child started."""
        self._child = child
        if self.received is not None:
            self._pass_on(signal.SIGTERM)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Takes a signal of this process; a second one doesn't wait for the child."""
        if self.received is not None:
            self._pass_on(signal.SIGKILL)
            return
        self.received = signal.Signals(number)
        self._deadline = time.monotonic() + self._grace
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: signal.Signals) -> None:
        if self._child is not None:
            _signal_group(self._child, number)


@contextlib.contextmanager
def _forwarded_signals(grace: float) -> Iterator[_Stop]:
    stop = _Stop(grace)
    # What is ignored stays so: nohup means it.
    taken = [number for number in _FORWARDED if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, stop.handle) for number in taken}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _follow(
    child: subprocess.Popen, run: RunFolder, progress: Progress, watcher: Watcher, stop: _Stop
) -> None:
    events, log = LineTail(run.events), LineTail(run.log)
    ended = False
    while not ended:
        # Asked before the files are read, so that the last lines are among what is read.
        ended = child.poll() is not None
        for line in events.lines():
            event = apply_line(progress, line)
            if event is not None:
                watcher.on_event(dict(event), progress)
        for line in log.lines():
            watcher.on_log(line)
        if stop.is_overdue and not ended:
            _signal_group(child, signal.SIGKILL)
        if not ended:
            time.sleep(_POLL_SECONDS)
    stopped = progress.stop(time.time())
    if stopped is not None:
        watcher.on_event({"event": "node_failed", "node": stopped.name}, progress)


def _signal_group(child: subprocess.Popen, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _end_group(child: subprocess.Popen) -> None:
    """Leaves nothing behind: neither the child nor what it started (Beam's workers, a server)."""
    _signal_group(child, signal.SIGKILL)
    child.wait()


def _dies_with_parent() -> Callable[[], None]:
    """Makes the kernel kill the child when this process is gone, even by SIGKILL."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork
    parent = os.getpid()

    def set_death_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return set_death_signal


def last_lines(run: RunFolder) -> list[str]:
    """Returns the end of the run's log."""
    try:
        with open(run.log, "rb") as file:
            file.seek(max(0, run.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-_TAIL_LINES:]
