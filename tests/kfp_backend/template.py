"""The process that has imported TFX once: `python -m tests.kfp_backend.template MODULE...`.

Reads orders as lines of JSON, forks for each, and answers with exit statuses.
"""

import importlib
import json
import os
import runpy
import signal
import sys
import time
import traceback
from typing import Any, NoReturn


def main() -> None:
    """Imports, then forks until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the imports print is no answer
    for module in sys.argv[1:]:
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(order)
        print(_wait(child, order["timeout"]), file=answers, flush=True)


def _wait(child: int, timeout: float | None) -> int:
    end = float("inf") if timeout is None else time.monotonic() + timeout
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(order: dict[str, Any]) -> NoReturn:
    """Becomes `python -m MODULE ARGUMENTS`, as far as that can be."""
    status = 1
    try:
        os.setsid()
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(os.path.dirname(order["log"]))
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["-m", *order["arguments"]]
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as error:
        status = _exit_status(error)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _exit_status(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
