"""What a model server is put through: does it answer right, refuse junk, and fast enough?"""

import asyncio
import io
import struct
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import grpc
import httpx
import numpy as np
import psutil
from PIL import Image

from components.evaluator.verdict import Rule
from components.serving_validator.client import Answer, Ask, Client
from components.serving_validator.config import ServingCheckConfig
from components.serving_validator.report import Latency, ServingReport

TOLERANCE = 1e-4  # of probabilities
_BATCH = 8
_BATCH_BYTES = 32 << 20
_AT_ONCE = 8
# What gRPC has for the statuses 400, 404 (an empty message names no model) and 413.
_REFUSED = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
_BODIES_OF_JUNK = {"a body that is no request": b"\x89PNG\r\n", "an empty body": b""}
_Junk = TypeVar("_Junk")
_FAILURES = (httpx.HTTPError, grpc.RpcError, KeyError, TypeError, ValueError)


async def put_through(
    client: Client,
    pid: int,
    files: Sequence[bytes],
    expected: Answer,
    config: ServingCheckConfig,
) -> ServingReport:
    """Asks about real images by every protocol, sends junk, measures.

    Args:
        client: of the server.
        pid: the server's.
        files: images of the test split.
        expected: what the model says of them without a server.
        config: budgets, and how many requests to measure by.
    """
    rules = [await _agrees(name, ask, files, expected) for name, ask in client.protocols.items()]
    for name, image in _images_of_junk().items():
        rules.append(await _refuses(name, _each(client.protocols, [image])))
    for name, body in _BODIES_OF_JUNK.items():
        rules.append(await _refuses(name, _each(client.raw, body)))
    for name, ask in client.protocols.items():
        rules.append(await _agrees(f"{name}, after that", ask, files[:1], expected))
    if not all(rule.passed for rule in rules):
        return ServingReport(rules=tuple(rules), images=len(files))
    try:
        measured = await _measure(client, pid, files, config)
    except (*_FAILURES, psutil.Error) as error:
        reason = f"{type(error).__name__}: {error}"[:500]
        rules.append(
            Rule(metric="serving under load", bound="answers", passed=False, reason=reason)
        )
        return ServingReport(rules=tuple(rules), images=len(files))
    assert measured.latency is not None
    rules += [
        *_within("serving latency p50, ms", measured.latency.p50_ms, at_most=config.max_p50_ms),
        *_within("serving latency p95, ms", measured.latency.p95_ms, at_most=config.max_p95_ms),
        *_within("serving latency p99, ms", measured.latency.p99_ms, at_most=config.max_p99_ms),
        *_within(
            "serving images a second",
            measured.images_per_second,
            at_least=config.min_images_per_second,
        ),
        *_within("serving memory, MB", measured.memory_mb, at_most=config.max_memory_mb),
    ]
    return measured.model_copy(update={"rules": tuple(rules)})


async def _measure(
    client: Client, pid: int, files: Sequence[bytes], config: ServingCheckConfig
) -> ServingReport:
    seconds = await _one_by_one(client, files, config.requests)
    p50, p95, p99 = (float(value) for value in np.percentile(seconds, [50, 95, 99]) * 1000)
    return ServingReport(
        latency=Latency(p50_ms=p50, p95_ms=p95, p99_ms=p99),
        images_per_second=await _side_by_side(client, files, config.requests),
        memory_mb=psutil.Process(pid).memory_info().rss / 1e6,
        images=len(files),
    )


async def _agrees(name: str, ask: Ask, files: Sequence[bytes], expected: Answer) -> Rule:
    """Asks one by one and in batches."""
    worst, reason = 0.0, None
    try:
        for size in (1, _BATCH):
            for rows in _batches(files, size):
                answer = await ask(files[rows])
                difference = np.abs(answer.probabilities - expected.probabilities[rows]).max()
                worst = max(worst, float(difference))
                if not np.isfinite(difference):  # which no comparison finds
                    reason = "answers with numbers that are not finite"
                if answer.labels != expected.labels[rows]:
                    reason = "other labels than the model's own"
    except _FAILURES as error:
        reason = f"{type(error).__name__}: {error}"[:500]
    return Rule(
        metric=f"serving by {name}: largest difference",
        value=None if reason else worst,
        bound=f"<= {TOLERANCE:g}",
        passed=reason is None and worst <= TOLERANCE,
        reason=reason,
        examples=len(files),
    )


def _batches(files: Sequence[bytes], size: int) -> Iterator[slice]:
    """Yields parts of at most so many images, and of few bytes or one image."""
    start, taken = 0, 0
    for end, file in enumerate(files):
        if end > start and (end - start == size or taken + len(file) > _BATCH_BYTES):
            yield slice(start, end)
            start, taken = end, 0
        taken += len(file)
    yield slice(start, len(files))


def _each(
    protocols: Mapping[str, Callable[[_Junk], Awaitable[object]]], junk: _Junk
) -> dict[str, Awaitable[object]]:
    return {name: send(junk) for name, send in protocols.items()}


async def _refuses(name: str, sent: Mapping[str, Awaitable[object]]) -> Rule:
    """Junk is its sender's fault, and must neither be answered nor end the server."""
    others = {}
    for protocol, sending in sent.items():
        try:
            await sending
            others[protocol] = "answered"
        except httpx.HTTPStatusError as error:
            if not error.response.is_client_error:
                others[protocol] = str(error.response.status_code)
        except grpc.RpcError as error:
            if error.code() not in _REFUSED:
                others[protocol] = error.code().name
        except _FAILURES as error:
            others[protocol] = f"{type(error).__name__}: {error}"[:200]
    return Rule(
        metric=f"serving refuses {name}: protocols that do",
        value=len(sent) - len(others),
        bound=f"all {len(sent)}",
        passed=not others,
        reason="; ".join(f"{protocol}: {what}" for protocol, what in others.items()) or None,
    )


def _images_of_junk() -> dict[str, bytes]:
    return {
        "text": b"this is no image",
        "a truncated image": _half_a_jpeg(),
        "a huge image": _huge_png(),
    }


def _half_a_jpeg() -> bytes:
    """Of our own: half a file of a camera may hold a whole picture, and more behind it."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()[: buffer.tell() // 2]


def _huge_png() -> bytes:
    """A few bytes that say they are 30,000 by 30,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


async def _one_by_one(client: Client, files: Sequence[bytes], requests: int) -> list[float]:
    seconds = []
    for number in range(requests):
        started = time.perf_counter()
        await client.ask_v1([files[number % len(files)]])
        seconds.append(time.perf_counter() - started)
    return seconds


async def _side_by_side(client: Client, files: Sequence[bytes], requests: int) -> float:
    """Returns images a second."""
    numbers = iter(range(requests))

    async def work() -> None:
        for number in numbers:
            await client.ask_v1([files[number % len(files)]])

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return requests / (time.perf_counter() - started)


def _within(
    metric: str, value: float | None, at_most: float | None = None, at_least: float | None = None
) -> list[Rule]:
    """The verdict on a budget, if there is one."""
    assert value is not None
    if at_most is not None:
        passed, bound = value <= at_most, f"<= {at_most:g}"
    elif at_least is not None:
        passed, bound = value >= at_least, f">= {at_least:g}"
    else:
        return []
    return [Rule(metric=metric, value=value, bound=bound, passed=passed)]
