import errno
import os
import shutil

import pytest
import tensorflow as tf

from components.errors import DataError
from pipeline.failures import failed_outcome

FULL = "No space left on device"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        shutil.Error([("model", "staging", f"[Errno 28] {FULL}: 'model' -> 'staging'")]),
        tf.errors.ResourceExhaustedError(None, None, f"artifacts/data; {FULL}"),
        RuntimeError("Failed to write: database or disk is full"),
    ],
)
def test_a_full_disk_is_told_whoever_met_it(error):
    wrapped = RuntimeError("a node failed")
    wrapped.__cause__ = error

    outcome = failed_outcome(wrapped)

    assert outcome.error is not None
    assert (outcome.error.exit_status, "effnet clean" in outcome.error.message) == (1, True)


def test_bad_input_is_told_apart_from_faults():
    wrapped = RuntimeError("while running Check")
    wrapped.__context__ = DataError("no images")

    assert [failed_outcome(wrapped).error.message, failed_outcome(wrapped).error.exit_status] == [
        "no images",
        2,
    ]
    assert failed_outcome(KeyError("x")).error.exit_status == 1
