"""Keeps the password of the metadata store out of the log, where TFX prints its connection."""

import contextlib
import logging
import re
from collections.abc import Iterator

from absl import logging as absl_logging

# A string field in protobuf's text format, quotes escaped.
_PASSWORD = re.compile(r'(password: ?)"(?:[^"\\]|\\.)*"')


def _mask(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    masked = _PASSWORD.sub(r'\1"***"', text)
    if masked != text:
        # Other records stay as they are: the node's events are told apart by their format.
        record.msg, record.args = masked, ()
    return True


@contextlib.contextmanager
def passwords_masked() -> Iterator[None]:
    """Masks passwords in messages that are logged by absl while something runs inside."""
    logger = absl_logging.get_absl_logger()
    logger.addFilter(_mask)
    try:
        yield
    finally:
        logger.removeFilter(_mask)
