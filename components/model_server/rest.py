"""What KServe's REST endpoints lack: versions, TensorFlow Serving's statuses, limits."""

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from kserve.protocol.dataplane import DataPlane
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from components.model_server import v2
from components.model_server.config import ServerConfig
from components.model_server.refusals import RefusedError, TooLargeError, TooSlowError
from components.model_server.room import Room
from components.model_server.served_model import RestBody, ServedModel, version_number


class RestEndpoints:
    """Routes that stand before KServe's own."""

    def __init__(self, dataplane: DataPlane, config: ServerConfig, room: Room) -> None:
        """Takes KServe's way to the models, the limits on bodies, and the room for all of them."""
        self._dataplane = dataplane
        self._limit, self._seconds = config.max_body_bytes, config.body_seconds
        self._room = room

    def register(self, app: FastAPI) -> None:
        """Adds the routes to KServe's application, which must not have its own yet."""
        one_v1, one_v2 = "/v1/models/{name}", "/v2/models/{name}"
        version = "/versions/{version}"
        for path, endpoint in (
            (one_v1, self._status),
            (f"{one_v1}{version}", self._status),
            (f"{one_v2}{version}", self._metadata),
            (f"{one_v2}{version}/ready", self._ready),
        ):
            app.add_route(path, endpoint, methods=["GET"])
        for path, endpoint in (
            (f"{one_v1}:predict", self._predict),
            (f"{one_v1}{version}:predict", self._predict),
            (f"{one_v1}:explain", self._no_such),
            (f"{one_v2}/infer", self._infer),
            (f"{one_v2}{version}/infer", self._infer),
        ):
            app.add_route(path, endpoint, methods=["POST"])
        app.add_exception_handler(RefusedError, _refused)
        app.add_exception_handler(ClientDisconnect, _nobody_there)
        app.add_exception_handler(HTTPException, _no_such_route)

    async def _predict(self, request: Request) -> Response:
        return await self._answer(request, 1)

    async def _infer(self, request: Request) -> Response:
        return await self._answer(request, 2)

    async def _answer(self, request: Request, protocol: int) -> Response:
        model, version = self._model(request), _wanted(request)
        with self._room.for_one() as take:
            body = RestBody(
                protocol,
                await self._read(request, take),
                version,
                request.headers.get(v2.JSON_LENGTH),
            )
            content, headers = await self._dataplane.infer(model.name, body, dict(request.headers))
        return Response(content, headers=headers)

    async def _status(self, request: Request) -> Response:
        model = self._model(request)
        statuses, wanted = model.statuses(), _wanted(request)
        if wanted is not None:
            statuses = [status for status in statuses if status["version"] == str(wanted)]
            if not statuses:
                model.check_version(wanted)
        return JSONResponse({"model_version_status": statuses})

    async def _metadata(self, request: Request) -> Response:
        model = self._model(request)
        model.check_version(_wanted(request))
        return JSONResponse(await self._dataplane.model_metadata(model.name))

    async def _ready(self, request: Request) -> Response:
        model = self._model(request)
        model.check_version(_wanted(request))
        return JSONResponse({"name": model.name, "ready": model.ready})

    async def _no_such(self, request: Request) -> Response:
        return JSONResponse({"error": "there is nothing but :predict"}, 404)

    def _model(self, request: Request) -> ServedModel:
        """Finds the model of a request, or raises KServe's ModelNotFound."""
        return self._dataplane.get_model_from_registry(request.path_params["name"])

    async def _read(self, request: Request, take: Callable[[int], None]) -> bytes:
        """Reads a body, and takes room for each part as it comes.

        Raises:
            TooLargeError: it is too long, or says that it will be.
            TooSlowError: it takes too long.
            OverloadedError: all the room is taken.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._limit:
            raise self._too_large(int(announced))
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > self._limit:
                        raise self._too_large(size)
                    take(len(part))
                    parts.append(part)
        except TimeoutError:
            raise TooSlowError(
                f"{size} bytes of the body came in {self._seconds:g} s, and it has no more time"
            ) from None
        return b"".join(parts)

    def _too_large(self, length: int) -> TooLargeError:
        return TooLargeError(f"the body has {length} bytes or more, limit {self._limit}")


def _wanted(request: Request) -> int | None:
    return version_number(request.path_params.get("version"))


async def _refused(_: Request, error: Any) -> Response:
    # They hold the body, and an error is often part of a cycle that lasts.
    traceback.clear_frames(error.__traceback__)
    return JSONResponse({"error": error.details}, error.http_status, dict(error.headers))


async def _no_such_route(_: Request, error: Any) -> Response:
    """Words it as all other errors are."""
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _nobody_there(_: Request, error: Exception) -> Response:
    """The client is gone; what is written here nobody reads."""
    return Response(status_code=400)
