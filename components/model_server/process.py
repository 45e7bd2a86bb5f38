"""Starts the model server as a process of its own, and ends it."""

import contextlib
import json
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import EffnetError
from components.model_server.config import ServerConfig

_SHOWN_BYTES = 4000


class ServerError(EffnetError):
    """The model server did not get ready; the message ends with what it logged."""


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Attributes:
        url: of REST, without a slash at its end.
        grpc_address: host:port.
        pid: of its process.
        log: the file that it writes its log to.
    """

    url: str
    grpc_address: str
    pid: int
    log: Path


@contextlib.contextmanager
def start(
    models: Path, log: Path, *, timeout_seconds: float = 180, **settings: Any
) -> Iterator[RunningServer]:
    """Serves on free ports of the loopback address while the context lasts.

    The server ends with this process, however that ends.

    Args:
        models: as in ServerConfig.
        log: file for the server's log; it is written anew.
        timeout_seconds: until a model must be loaded.
        **settings: further ones of ServerConfig.

    Raises:
        ServerError: nothing was ready in time, or the server ended.
    """
    settings = {"port": 0, "grpc_port": 0, **settings, "models": models, "end_with_stdin": True}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    with (
        open(log, "wb") as stream,
        subprocess.Popen(
            # -P: nothing in the working directory may pass for a module of ours.
            [sys.executable, "-P", "-m", "components.model_server", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
        ) as process,
    ):
        try:
            place = _first_line(process, log, timeout_seconds)
            host = ServerConfig(models=models, host=place["host"]).url_host
            yield RunningServer(
                f"http://{host}:{place['port']}",
                f"{host}:{place['grpc_port']}",
                place["pid"],
                log,
            )
        finally:
            _end(process)


def _first_line(process: subprocess.Popen, log: Path, timeout_seconds: float) -> dict[str, Any]:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        began = time.monotonic()
        while time.monotonic() - began < timeout_seconds:
            if selector.select(0.2):
                line = process.stdout.readline()
                if not line:
                    break
                return json.loads(line)
        else:
            raise ServerError(
                f"the model server was not ready after {timeout_seconds:g} s; its log ends: "
                f"{_end_of(log)}"
            )
    raise ServerError(
        f"the model server ended with status {process.wait()}; its log ends: {_end_of(log)}"
    )


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(40)  # Longer than the default grace.
    except subprocess.TimeoutExpired:
        process.kill()


def _end_of(log: Path) -> str:
    text = log.read_bytes()[-_SHOWN_BYTES:].decode("utf-8", "replace")
    return text.strip() or "(empty)"
