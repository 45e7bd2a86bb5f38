"""Runs everything in one event loop, until it is told to end."""

import asyncio
import functools
import gc
import json
import logging
import os
import signal
import socket
import sys
import warnings
from typing import Any

import uvicorn
from fastapi import FastAPI
from kserve import ModelRepository
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady, ServerNotReady
from kserve.model_server import app
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer

from components.errors import InputError
from components.model_server.config import ServerConfig
from components.model_server.connection import Connection
from components.model_server.grpc import make_server
from components.model_server.rest import RestEndpoints
from components.model_server.room import BODIES, Room
from components.model_server.watcher import Watcher

_LOG = logging.getLogger(__name__)
_EXPECTED = (InvalidInput, ModelNotFound, ModelNotReady, ServerNotReady)


class _DataPlane(DataPlane):
    """KServe's, which says that it is ready whatever is loaded, and knows no versions."""

    async def ready(self) -> bool:
        # A copy, as the watcher's thread adds models.
        return any(model.ready for model in list(self.model_registry.get_models().values()))

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        metadata = await super().model_metadata(model_name)
        serving = self.get_model_from_registry(model_name).serving
        versions = [str(serving.servable.number)] if serving else []
        return {**metadata, "versions": versions, "platform": "tensorflow_savedmodel"}


class _RESTServer(RESTServer):
    """KServe's, without a middleware that times each request for a log that nobody keeps."""

    def _add_middlewares(self, app: FastAPI) -> None:
        pass


class _FoldersDecide(ModelRepositoryExtension):
    """Refuses to load and to unload by request."""

    async def load(self, model_name: str) -> None:
        raise InvalidInput("what is loaded is decided by the folders of the server alone")

    unload = load


class Server:
    """KServe's REST and gRPC servers over one folder of models."""

    def __init__(self, config: ServerConfig, listener: socket.socket) -> None:
        """Takes the settings, and the socket that REST listens on."""
        self._config = config
        self._listener = listener
        self._repository = ModelRepository()
        self._dataplane = _DataPlane(self._repository)
        self._extension = _FoldersDecide(self._repository)
        self._ready = asyncio.Event()
        self._first_look, self._failed = True, False
        self._room = Room(BODIES * config.max_body_bytes)
        RestEndpoints(self._dataplane, config, self._room).register(app)
        rest = _RESTServer(
            "kserve.model_server:app",
            self._dataplane,
            self._extension,
            http_port=0,
            grace_period=config.grace_seconds,
        )
        rest.create_application()
        rest.config.http = functools.partial(Connection, seconds=config.body_seconds)
        rest.config.limit_concurrency = config.max_connections
        rest.config.ws = "none"
        # KServe's own can't be given a socket, and listens on every address.
        self._rest = uvicorn.Server(rest.config)

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT; then requests in flight get their answers.

        Raises:
            InputError: none of the versions that were there at the start could be loaded.
        """
        grpc, grpc_port = make_server(self._config, self._dataplane, self._extension, self._room)
        await grpc.start()
        loop = asyncio.get_running_loop()
        watcher = Watcher(self._config, self._repository, loop, self._looked)
        gc.collect()
        gc.freeze()  # Or each collection would walk through the libraries as well.
        watcher.start()
        telling = asyncio.create_task(self._tell_when_ready(grpc_port))
        await asyncio.gather(self._rest.serve([self._listener]), self._end_with_rest(grpc))
        telling.cancel()
        watcher.stop()
        if self._failed:
            raise InputError(f"no model in {self._config.models} could be loaded; the log says why")

    def end(self) -> None:
        """Has `run` end once requests in flight have their answers."""
        self._rest.should_exit = True

    def _looked(self, good: bool) -> None:
        if good and self._repository.get_models():
            self._ready.set()
        elif not good and self._first_look:
            self._failed = True
            self.end()
        self._first_look = False

    async def _tell_when_ready(self, grpc_port: int) -> None:
        await self._ready.wait()
        while not self._rest.started:
            await asyncio.sleep(0.01)
        place = {
            "host": self._config.host,
            "port": self._listener.getsockname()[1],
            "grpc_port": grpc_port,
            "pid": os.getpid(),
        }
        print(json.dumps(place), flush=True)
        # Who started this may read no more: a library's print must not wait for that.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    async def _end_with_rest(self, grpc: Any) -> None:
        while not self._rest.should_exit:
            await asyncio.sleep(0.1)
        await grpc.stop(self._config.grace_seconds)


def serve(config: ServerConfig, listener: socket.socket) -> None:
    """Serves until the process is told to end.

    Raises:
        InputError: the gRPC port can't be had, or nothing could be loaded.
    """
    for name in ("kserve", "uvicorn.error"):
        logging.getLogger(name).addFilter(_is_news)
    # Which FastAPI says of a class that KServe uses.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    server = Server(config, listener)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Before uvicorn catches them, and when it raises them again after all is done.
        signal.signal(number, lambda *_: server.end())
    with asyncio.Runner(
        loop_factory=uvicorn.Config("", log_config=None).get_loop_factory()
    ) as runner:
        runner.run(server.run())


def _is_news(record: logging.LogRecord) -> bool:
    """What a client did wrong is told to the client; KServe logs each with its stack."""
    return not (record.exc_info and isinstance(record.exc_info[1], _EXPECTED))
