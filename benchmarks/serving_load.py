"""The model server under load, beside the model in process, and against what it is not made for.

    .venv/bin/python benchmarks/serving_load.py [--images FOLDER] [--seconds 60] [--fuzz 2000]
        [--reloads 30]

Lite0 at 224 pixels with a random head: what is measured is the serving. Images are those of
elpv-dataset, or of a folder. Three parts: requests by 16 clients while a version is pushed and
taken back again; one request at a time, in turns with the model in process; mutated images and
bodies, over REST v1, REST v2 (as JSON and as binary data) and gRPC v2 in turn. A fourth, with
--reloads: the server's memory after each of so many new versions. The last line is JSON with every
number.
"""

import argparse
import asyncio
import base64
import collections
import contextlib
import http.client
import importlib.util
import io
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import httpx
import keras
import numpy as np
import orjson
import psutil
import tensorflow as tf
from kserve import InferInput, InferRequest
from PIL import Image

from components.model_server.process import RunningServer, start
from components.model_server.v2 import JSON_LENGTH
from components.model_versions import publish
from trainer.config import TrainConfig
from trainer.signatures import ServingModule, export
from trainer.training import build_classifier

SIZE, CLIENTS, IMAGES, MODEL = 224, 16, 64, "model"
PREDICT = f"/v1/models/{MODEL}:predict"
INFER = f"/v2/models/{MODEL}/infer"
GRPC_INFER = "/inference.GRPCInferenceService/ModelInfer"
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")


def main() -> None:
    """Measures and prints."""
    options = parse()
    files = read_images(options.images)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        exported = [export_model(seed, root / f"exported-{seed}") for seed in (1, 2)]
        serving = root / "serving" / MODEL
        publish(exported[0], serving, schema=None, facts={})
        truths = [answers_of(folder, files) for folder in exported]
        found: dict[str, Any] = {}
        limits = {"max_batch": options.max_batch}
        with start(serving.parent, root / "log", **limits) as server:
            if options.turns:
                found["latency"] = latency(server, exported[0], files, options.turns)
                print(found["latency"], flush=True)
            if options.seconds:
                found["load"] = asyncio.run(
                    load(server, serving, exported[1], files, truths, options.seconds)
                )
                print(found["load"], flush=True)
            if options.fuzz:
                found["fuzz"] = fuzz(server, files, options.fuzz)
                print(found["fuzz"], flush=True)
            if options.reloads:
                found["reloads"] = reloads(server, serving, exported, files, options.reloads)
                print(found["reloads"], flush=True)
    print(json.dumps(found))


def parse() -> argparse.Namespace:
    """Reads the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=60, help="of load; 0: none")
    parser.add_argument("--turns", type=int, default=100, help="of single requests; 0: none")
    parser.add_argument("--fuzz", type=int, default=2000, help="mutated requests; 0: none")
    parser.add_argument("--reloads", type=int, default=0, help="of new versions; 0: none")
    parser.add_argument("--max-batch", type=int, default=32, help="1: no batching")
    return parser.parse_args()


def read_images(folder: Path | None) -> list[bytes]:
    """Reads the first images of a folder, by their names."""
    if folder is None:
        spec = importlib.util.find_spec("elpv_dataset")
        assert spec and spec.submodule_search_locations, "pip install elpv-dataset"
        folder = Path(spec.submodule_search_locations[0]) / "data" / "images"
    suffixes = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    return [path.read_bytes() for path in paths[:: max(1, len(paths) // IMAGES)][:IMAGES]]


def export_model(seed: int, folder: Path) -> Path:
    """Exports Lite0 with another random head for every seed."""
    keras.utils.set_random_seed(seed)
    labels = ["defective", "functional"]
    classifier = build_classifier(labels, TrainConfig(), SIZE)
    network = classifier.network
    for weight in network.get_layer("logits").weights:
        weight.assign(np.random.default_rng(seed).normal(size=weight.shape))
    export(ServingModule(network, labels, SIZE, "squash"), str(folder))
    return folder


def answers_of(folder: Path, files: list[bytes]) -> np.ndarray:
    """float32 [images, classes], in this process."""
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    return signature(image=tf.constant(files))["probabilities"].numpy()


def body_of(file: bytes) -> bytes:
    """A request for one image."""
    return orjson.dumps({"instances": [{"b64": base64.b64encode(file).decode()}]})


def latency(
    server: RunningServer, folder: Path, files: list[bytes], turns: int
) -> dict[str, float]:
    """One request at a time, in turns with the same signature in this process."""
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    seconds: dict[str, list[float]] = {"rest": [], "in_process": []}
    # A light client, as its own work counts.
    with contextlib.closing(http.client.HTTPConnection(server.url[7:], timeout=60)) as client:
        for turn, file in zip(range(turns + 10), itertools.cycle(files), strict=False):
            began = time.perf_counter()
            client.request("POST", PREDICT, body_of(file))
            orjson.loads(client.getresponse().read())
            between = time.perf_counter()
            {name: value.numpy() for name, value in signature(image=tf.constant([file])).items()}
            ended = time.perf_counter()
            if turn >= 10:  # The first ones only warm up.
                seconds["rest"].append(between - began)
                seconds["in_process"].append(ended - between)
    rest, inside = (statistics.median(values) * 1e3 for values in seconds.values())
    return {"rest_ms": rest, "in_process_ms": inside, "ratio": rest / inside}


async def load(
    server: RunningServer,
    serving: Path,
    exported: Path,
    files: list[bytes],
    truths: list[np.ndarray],
    seconds: float,
) -> dict[str, Any]:
    """Sixteen clients; a push after a third of the time, a rollback after two thirds."""
    bodies, milliseconds = [body_of(file) for file in files], []
    counts: collections.Counter[str] = collections.Counter()
    end = time.perf_counter() + seconds

    async def ask(client: httpx.AsyncClient, first: int) -> None:
        for index in itertools.cycle(range(first, first + len(files))):
            index %= len(files)
            began = time.perf_counter()
            if began > end:
                return
            try:
                answer = await client.post(PREDICT, content=bodies[index])
                milliseconds.append((time.perf_counter() - began) * 1e3)
                version = answer.headers["x-model-version"]
                found = answer.json()["predictions"][0]["probabilities"]
                right = np.abs(np.array(found) - truths[int(version) - 1][index]).max() <= 1e-4
                counts[f"version {version}"] += 1
                counts["mixed"] += not right
            except Exception:
                counts["failed"] += 1

    async def push_and_take_back() -> None:
        await asyncio.sleep(seconds / 3)
        version, _ = await asyncio.to_thread(publish, exported, serving, schema=None, facts={})
        await asyncio.sleep(seconds / 3)
        version.path.rename(serving / f".taken-back-{version.number}")

    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        asking = [ask(client, number * 4) for number in range(CLIENTS)]
        await asyncio.gather(push_and_take_back(), *asking)
    p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
    return {
        "failed": counts["failed"],
        "mixed": counts["mixed"],
        "answers": dict(counts),
        "per_second": len(milliseconds) / seconds,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": max(milliseconds),
    }


def reloads(
    server: RunningServer, serving: Path, exported: list[Path], files: list[bytes], count: int
) -> dict[str, Any]:
    """Resident MB after each of so many pushes, once the former version is gone."""
    process, megabytes = psutil.Process(server.pid), []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for number in range(count):
            version, _ = publish(exported[1 - number % 2], serving, schema=None, facts={})
            answers = None
            while answers != str(version.number):
                time.sleep(0.1)
                answer = client.post(PREDICT, content=body_of(files[number % len(files)]))
                answers = answer.headers["x-model-version"]
            time.sleep(2.5)  # The look after next has collected the former one.
            megabytes.append(round(process.memory_info().rss / 1e6))
    return {"rss_mb": megabytes}


def encoded(file: bytes, kind: str) -> bytes:
    """Encodes an image file anew."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(file)).convert("RGB").resize((96, 96)).save(buffer, kind)
    return buffer.getvalue()


def bodies(file: bytes) -> dict[str, tuple[str, bytes, dict[str, str]]]:
    """Address, body and headers of a request for one image, by the protocols' names."""
    text = base64.b64encode(file).decode()
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [text]}
    image = InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([file], np.object_), binary_data=True)
    request = InferRequest(MODEL, [image])
    binary, json_length = request.to_rest()
    return {
        "REST v1": (PREDICT, body_of(file), {}),
        "REST v2": (INFER, orjson.dumps({"inputs": [tensor]}), {}),
        "REST v2, binary": (INFER, binary, {JSON_LENGTH: str(json_length)}),
        "gRPC v2": (GRPC_INFER, request.to_grpc().SerializeToString(), {}),
    }


def send(
    client: httpx.Client, channel: grpc.Channel, path: str, body: bytes, headers: dict[str, str]
) -> str:
    """Returns the status that comes back."""
    if path != GRPC_INFER:
        return str(client.post(path, content=body, headers=headers).status_code)
    try:
        channel.unary_unary(path)(body, timeout=60)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def fuzz(server: RunningServer, files: list[bytes], requests: int) -> dict[str, Any]:
    """Mutated images and bodies, by each protocol in turn; memory before and after."""
    random = np.random.default_rng(0)
    files = [encoded(file, kind) for file in files[:10] for kind in FORMATS]
    process = psutil.Process(server.pid)
    counts: dict[str, collections.Counter[str]] = {
        name: collections.Counter() for name in bodies(b"")
    }
    with (
        httpx.Client(base_url=server.url, timeout=60) as client,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        for number in range(-200, requests):
            if number == 0:
                for count in counts.values():
                    count.clear()
                before = process.memory_info().rss / 1e6
            file = bytearray(files[number % len(files)])
            for place in random.integers(0, len(file), random.integers(1, 21)):
                file[place] = random.integers(256)
            cut = len(file) if number % 3 else int(random.integers(len(file)))
            protocol = list(counts)[number % len(counts)]
            path, body, headers = bodies(bytes(file[:cut]))[protocol]
            content = bytearray(body)
            if number % 5 == 0:
                content[random.integers(min(60, len(content)))] = random.integers(256)
            counts[protocol][send(client, channel, path, bytes(content), headers)] += 1
        alive = {name: send(client, channel, *body) for name, body in bodies(files[0]).items()}
    after = process.memory_info().rss / 1e6
    statuses = {name: dict(sorted(count.items())) for name, count in counts.items()}
    return {"statuses": statuses, "then": alive, "rss_mb": [before, after]}


if __name__ == "__main__":
    main()
