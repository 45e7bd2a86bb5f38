"""Why a run or a task failed, in one paragraph."""

import errno
import os

from components.errors import InputError
from pipeline.summary import Outcome

# Told by their text: shutil gathers errors in one without a number, TensorFlow and SQLite have
# classes of their own.
_DISK_FULL = (
    os.strerror(errno.ENOSPC),
    os.strerror(errno.EDQUOT),
    "database or disk is full",
)


def failed_outcome(error: BaseException) -> Outcome:
    """Tells bad input from a fault, also where a library has wrapped the error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError):
            return Outcome.failed("input", str(cause))
        if any(text in str(cause) for text in _DISK_FULL):
            return Outcome.failed(
                "fault",
                "the disk, or its quota, is full; free some space and run again: on this machine "
                "effnet clean removes what old runs left, and finished nodes are taken from the "
                "cache; on a cluster the task's pod, or a volume of it, needs more "
                f"({str(cause)[:1000]})",
            )
        cause = cause.__cause__ or cause.__context__
    text = str(error).strip()
    return Outcome.failed("fault", f"{type(error).__name__}: {text[:2000]}")
