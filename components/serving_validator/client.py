"""Asks a model server by each of its protocols."""

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
import orjson
from grpc import aio
from kserve import InferenceGRPCClient, InferInput, InferRequest, InferResponse

from components import features

_SECONDS = 60.0
_JSON_LENGTH = "Inference-Header-Content-Length"
_GRPC_METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class Answer:
    """What a model says of some images.

    Attributes:
        probabilities: float [images, classes].
        labels: of the images.
    """

    probabilities: np.ndarray
    labels: list[str]


Ask = Callable[[Sequence[bytes]], Awaitable[Answer]]
Send = Callable[[bytes], Awaitable[object]]


class Client:
    """A client of one model; to be used in an `async with`."""

    def __init__(self, url: str, grpc_address: str, model: str) -> None:
        self._path = f"/v1/models/{model}:predict"
        self._v2_path = f"/v2/models/{model}/infer"
        self._model = model
        self._http = httpx.AsyncClient(base_url=url, timeout=_SECONDS, trust_env=False)
        self._grpc_address = grpc_address

    async def __aenter__(self) -> Self:
        # Made in the event loop that it is to work in.
        self._grpc = InferenceGRPCClient(self._grpc_address, timeout=_SECONDS)
        self._channel = aio.insecure_channel(self._grpc_address)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()
        await self._grpc.close()
        await self._http.aclose()

    @property
    def protocols(self) -> Mapping[str, Ask]:
        """How to ask, by the protocols' names."""
        return {"REST v1": self.ask_v1, "REST v2": self.ask_v2, "gRPC v2": self.ask_grpc}

    @property
    def raw(self) -> Mapping[str, Send]:
        """How to send a body, whatever it is, by the protocols' names."""
        return {"REST v1": self._post_v1, "REST v2": self._post_v2, "gRPC v2": self._call}

    async def ask_v1(self, files: Sequence[bytes]) -> Answer:
        """Asks as clients of TensorFlow Serving do.

        Raises:
            httpx.HTTPError: it was refused, or there was no answer.
        """
        response = await self._post_v1(orjson.dumps(_v1_body(files)))
        rows = response.json()["predictions"]
        return Answer(
            np.array([row[features.PROBABILITIES] for row in rows]),
            [row[features.PREDICTED_LABEL] for row in rows],
        )

    async def ask_v2(self, files: Sequence[bytes]) -> Answer:
        """Asks by the Open Inference Protocol, images in the body as they are.

        Raises:
            httpx.HTTPError: it was refused, or there was no answer.
        """
        content, json_length = self._request(files).to_rest()
        response = await self._post_v2(content, {_JSON_LENGTH: str(json_length)})
        length = response.headers.get(_JSON_LENGTH)
        return _of_tensors(
            InferResponse.from_bytes(response.content, int(length))
            if length
            else InferResponse.from_rest(response.json())
        )

    async def ask_grpc(self, files: Sequence[bytes]) -> Answer:
        """Asks by the Open Inference Protocol over gRPC.

        Raises:
            grpc.RpcError: it was refused, or there was no answer.
        """
        return _of_tensors(await self._grpc.infer(self._request(files)))

    async def _post_v1(self, body: bytes) -> httpx.Response:
        response = await self._http.post(self._path, content=body)
        return response.raise_for_status()

    async def _post_v2(
        self, body: bytes, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        response = await self._http.post(self._v2_path, content=body, headers=headers)
        return response.raise_for_status()

    async def _call(self, body: bytes) -> bytes:
        return await self._channel.unary_unary(_GRPC_METHOD)(body, timeout=_SECONDS)

    def _request(self, files: Sequence[bytes]) -> InferRequest:
        images = InferInput(features.IMAGE, [len(files)], "BYTES")
        images.set_data_from_numpy(np.array(files, np.object_), binary_data=True)
        return InferRequest(self._model, [images])


def _v1_body(files: Sequence[bytes]) -> dict[str, Any]:
    return {"instances": [{"b64": base64.b64encode(file).decode()} for file in files]}


def _of_tensors(response: InferResponse) -> Answer:
    tensors = {output.name: output for output in response.outputs}
    probabilities = tensors[features.PROBABILITIES]
    labels = tensors[features.PREDICTED_LABEL].as_numpy().ravel()
    return Answer(
        np.asarray(probabilities.as_numpy()).reshape(probabilities.shape),
        [label.decode() if isinstance(label, bytes) else str(label) for label in labels],
    )
