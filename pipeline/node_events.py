"""Tells the terminal which node runs.

LocalDagRunner has no hook for it, but says it in its log, in a fixed form.
"""

import contextlib
import logging
from collections.abc import Iterator

from absl import logging as absl_logging

from components import run_events

_RUNNING = "Component %s is running."
_FINISHED = "Component %s is finished."
_CACHED = "A cached execution %d is used."


class _NodeEvents(logging.Handler):
    """Turns the runner's log records into events of the run."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.running: str | None = None
        self._cached = False

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == _RUNNING:
            self.running, self._cached = str(record.args[0]), False  # type: ignore[index]
            run_events.record("node_started", node=self.running)
        elif record.msg == _CACHED:
            self._cached = True
        elif record.msg == _FINISHED:
            run_events.record("node_finished", node=self.running, cached=self._cached)
            self.running = None


@contextlib.contextmanager
def recorded() -> Iterator[None]:
    """Records `node_started`, `node_finished` and `node_failed` while a pipeline runs inside."""
    handler = _NodeEvents()
    logger = absl_logging.get_absl_logger()
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    except BaseException:
        if handler.running is not None:
            run_events.record("node_failed", node=handler.running)
        raise
    finally:
        logger.removeHandler(handler)
        absl_logging.set_verbosity(verbosity)
