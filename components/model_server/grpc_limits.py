"""Bounds what gRPC's messages take: it receives each of them whole before anybody is asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from components.model_server.refusals import RefusedError, TooSlowError
from components.model_server.room import BODIES, Room

# For a sender who keeps others waiting.
_HURRIED_SECONDS = 1.0


class Limits(aio.ServerInterceptor):
    """Receives few messages at once, each in bounded time, and counts the bytes of all.

    How long a message will be nobody is told before it is there, so each that is being received
    counts as one of the greatest length.
    """

    def __init__(self, seconds: float, room: Room) -> None:
        """Takes the seconds that a message may take, and the room for all of them."""
        self._seconds, self._room = seconds, room
        self._places = asyncio.Semaphore(BODIES)
        self._receiving: dict[asyncio.Timeout, float] = {}
        self._waiting = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Has a method get its one message from here: as a stream, it can be waited for."""
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        async def respond(_: Any, context: aio.ServicerContext) -> Any:
            with self._room.for_one() as take:
                async with self._place():
                    message = await context.read()
                    if message is aio.EOF:
                        raise RefusedError("the request has no message")
                    take(len(message))
                try:
                    request = handler.request_deserializer(message)
                except DecodeError:
                    raise RefusedError(
                        f"the message of {len(message)} bytes is none of the protocol's"
                    ) from None
                return await handler.unary_unary(request, context)

        return grpc.stream_unary_rpc_method_handler(
            respond, response_serializer=handler.response_serializer
        )

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Waits for a place to receive a message at, and bounds the time there.

        Raises:
            TooSlowError: the time is over.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                self._waiting += 1
                try:
                    if self._places.locked():
                        self._hurry()
                    await self._places.acquire()
                finally:
                    self._waiting -= 1
                self._receiving[deadline] = loop.time()
                try:
                    if self._waiting:
                        self._hurry()
                    yield
                finally:
                    del self._receiving[deadline]
                    self._places.release()
        except TimeoutError:
            raise TooSlowError(
                f"the message did not come in {self._seconds:g} s, or, while others wait, in "
                f"{_HURRIED_SECONDS:g} s"
            ) from None

    def _hurry(self) -> None:
        for deadline, began in self._receiving.items():
            if not deadline.expired():
                latest = began + _HURRIED_SECONDS
                deadline.reschedule(min(deadline.when() or latest, latest))
