"""Whoever sends slowly, or much at once, gets in nobody's way and takes bounded memory."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from grpc import aio

from components.model_server.process import RunningServer, start
from tests.components.model_server.conftest import rows
from tests.images import encode

MIB = 1 << 20
PREDICT = "/v1/models/clothing:predict"
GOOD = rows(encode(1))
INFER = "/inference.GRPCInferenceService/ModelInfer"
LIVE = "/inference.GRPCInferenceService/ServerLive"
CHUNKED = "Transfer-Encoding: chunked"


def loopback() -> str:
    """IPv6, where there is any: it has to work, too."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as one:
        one.bind(("::1", 0))
        return "::1"
    return "127.0.0.1"


@pytest.fixture(scope="module")
def limited(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    limits = {"max_body_bytes": MIB, "body_seconds": 6, "max_connections": 60}
    with start(models, log, host=loopback(), **limits) as running:
        yield running


@pytest.fixture
def client(limited: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=limited.url, timeout=60) as one:
        yield one


class Senders:
    """Connections that say nothing but what they are told to."""

    def __init__(self, server: RunningServer, stack: contextlib.ExitStack) -> None:
        place = urlsplit(server.url)
        assert place.hostname is not None
        self._place = (place.hostname, place.port)
        self._stack = stack

    def send(self, content: str | bytes) -> socket.socket:
        one = self._stack.enter_context(socket.create_connection(self._place, timeout=60))
        one.sendall(content.encode() if isinstance(content, str) else content)
        return one


@pytest.fixture
def senders(limited: RunningServer) -> Iterator[Senders]:
    with contextlib.ExitStack() as stack:
        yield Senders(limited, stack)


def head(*headers: str, path: str = PREDICT) -> str:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""])


def answer(one: socket.socket) -> bytes:
    """All that comes until the server closes."""
    return b"".join(iter(lambda: one.recv(65536), b""))


def test_bodies_that_were_announced_and_never_come_block_nobody(
    client: httpx.Client, senders: Senders
) -> None:
    whole = f"Content-Length: {MIB}"
    kinds = [head(whole), head(CHUNKED), head(whole) + "{", head(CHUNKED) + "1\r\n{\r\n"]
    slow = [senders.send(kind) for kind in kinds * 5]
    assert client.post(PREDICT, json=GOOD).status_code == 200
    for one in slow:
        told = answer(one)
        assert told.startswith(b"HTTP/1.1 408 ")
        assert b"in 6 s" in told


def test_a_connection_on_which_no_request_comes_is_closed(senders: Senders) -> None:
    silent = [senders.send(begun) for begun in ("", "PO", head("X: y")[:-2])]
    assert [answer(one) for one in silent] == [b""] * 3
    unknown = senders.send(head(f"Content-Length: {MIB}", path="/v1/models/absent:predict") + "{")
    assert answer(unknown).startswith(b"HTTP/1.1 404 ")


def test_bodies_fill_the_room_and_no_more_and_grpc_shares_it(
    client: httpx.Client, limited: RunningServer, senders: Senders
) -> None:
    part = MIB * 3 // 4
    full = [senders.send(head(f"Content-Length: {MIB}").encode() + bytes(part)) for _ in range(20)]
    code = asyncio.run(ask(limited, INFER, bytes(part)))
    statuses = [one.recv(12)[-3:] for one in full]
    assert code == "RESOURCE_EXHAUSTED"
    assert set(statuses) == {b"503", b"408"}
    assert statuses.count(b"408") in (9, 10)  # Of which three quarters fill eight whole ones.
    assert client.post(PREDICT, json=GOOD).status_code == 200
    assert asyncio.run(ask(limited, INFER, bytes(part))) == "INVALID_ARGUMENT"


def test_a_length_that_is_told_twice_is_no_way_in(senders: Senders) -> None:
    for headers in ((CHUNKED, "Content-Length: 5"), ("Content-Length: 5", "Content-Length: 6")):
        hidden = "0\r\n\r\n" + head("Content-Length: 0", path="/v1/models/hidden:predict")
        told = answer(senders.send(head(*headers) + hidden))
        assert told.startswith(b"HTTP/1.1 400 ")
        assert b"hidden" not in told


def test_connections_beyond_the_limit_are_told_to_come_back(
    client: httpx.Client, senders: Senders
) -> None:
    for _ in range(60):
        senders.send("")
    assert client.get("/v1/models/clothing").status_code == 503


def test_every_error_is_worded_alike(client: httpx.Client) -> None:
    for path in ("/v1/nothing", "/v1/models/absent", "/v1/models/clothing/versions/9"):
        told = client.get(path)
        assert (told.status_code, list(told.json())) == (404, ["error"])


async def ask(server: RunningServer, method: str, *messages: bytes) -> str:
    """Sends raw messages; returns the status."""
    async with aio.insecure_channel(server.grpc_address) as channel:
        try:
            await channel.stream_unary(method)(iter(messages), timeout=30)
        except aio.AioRpcError as error:
            return error.code().name
        return "OK"


def test_grpc_messages_that_are_none_are_refused(limited: RunningServer) -> None:
    assert asyncio.run(ask(limited, INFER, b"\x89PNG\r\n")) == "INVALID_ARGUMENT"
    assert asyncio.run(ask(limited, INFER)) == "INVALID_ARGUMENT"
    assert asyncio.run(ask(limited, INFER, bytes(MIB + 1))) == "RESOURCE_EXHAUSTED"
    assert asyncio.run(ask(limited, LIVE, b"")) == "OK"


def test_grpc_calls_without_their_message_block_nobody(limited: RunningServer) -> None:
    async def attack() -> tuple[str, set[str]]:
        async with aio.insecure_channel(limited.grpc_address) as channel:
            # Four times as many as there are places: each gives its own up after a second, as
            # others wait, so that whoever comes last is received after three.
            silent = [channel.stream_unary(INFER)() for _ in range(30)]
            for one in silent:
                await one.wait_for_connection()
            live = await ask(limited, LIVE, b"")
            codes = {(await one.code()).name for one in silent}
        return live, codes

    assert asyncio.run(attack()) == ("OK", {"DEADLINE_EXCEEDED"})
