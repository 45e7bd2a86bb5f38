"""One model as KServe knows it: a name, behind which one version answers at a time."""

import asyncio
import concurrent.futures
import time
from dataclasses import dataclass
from typing import Any

import kserve
from kserve.protocol.infer_type import InferRequest, InferResponse
from prometheus_client import Counter, Gauge, Histogram

from components.image_example_gen.checks import RejectedError, check_header
from components.image_example_gen.config import DataConfig
from components.model_server import v1, v2
from components.model_server.batcher import Batcher, Images, undecodable
from components.model_server.config import ServerConfig
from components.model_server.refusals import NotLoadedError, RefusedError, UnknownVersionError
from components.model_server.servable import Answer

VERSION_HEADER = "x-model-version"
# What is read in less time than another thread takes to wake up, or in little more.
_SHORT_BYTES = 1 << 18
_REQUESTS = Counter("effnet_requests", "requests", ["model_name", "version", "status"])
_SECONDS = Histogram("effnet_request_seconds", "time from body to answer", ["model_name"])
_VERSION = Gauge("effnet_model_version", "the version that answers", ["model_name"])


@dataclass(frozen=True)
class RestBody:
    """A request of REST as it came.

    Attributes:
        protocol: 1 is TensorFlow Serving's, 2 the Open Inference Protocol.
        version: that must answer; None: whichever serves.
        json_length: where binary tensors begin, as the header says it.
    """

    protocol: int
    content: bytes
    version: int | None = None
    json_length: str | None = None


@dataclass(frozen=True)
class _Prepared:
    request: InferRequest | None  # None: columns or rows, by the first protocol.
    columnar: bool
    images: Images
    version: int | None
    rest: bool


@dataclass(frozen=True)
class Failed:
    """A version that could not be loaded, and why."""

    number: int
    why: str


class ServedModel(kserve.Model):
    """Answers by the version that is in memory.

    Attributes:
        serving: what answers; None until the first version is loaded.
        loading: the number of the version that is being loaded, if one is.
        failed: the newest version, if it could not be loaded.
    """

    def __init__(
        self, name: str, config: ServerConfig, readers: concurrent.futures.Executor
    ) -> None:
        """Takes the threads that read requests, so that the event loop stays free."""
        super().__init__(name, return_response_headers=True)
        self.serving: Batcher | None = None
        self.loading: int | None = None
        self.failed: Failed | None = None
        self._config = config
        self._limits = DataConfig(max_pixels=config.max_pixels, max_bytes=config.max_body_bytes)
        self._readers = readers

    def install(self, batcher: Batcher) -> None:
        """Lets another version answer; to be called in the event loop.

        What the old one has in its queue it still answers.
        """
        old, self.serving, self.ready = self.serving, batcher, True
        _VERSION.labels(self.name).set(batcher.servable.number)
        if old is not None:
            old.close()

    def load(self) -> bool:
        """Does nothing: the watcher loads what the folder holds."""
        return self.ready

    async def __call__(self, body: Any, headers: Any = None, **options: Any) -> Any:
        """Counts and times what KServe's own sequence of steps does."""
        began, status, version = time.perf_counter(), "error", ""
        try:
            response, response_headers = await super().__call__(body, headers, **options)
            status, version = "ok", response_headers[VERSION_HEADER]
            return response, response_headers
        except RefusedError as error:
            status = error.status_string.lower()
            raise
        finally:
            _REQUESTS.labels(self.name, version, status).inc()
            _SECONDS.labels(self.name).observe(time.perf_counter() - began)

    async def preprocess(self, payload: RestBody | InferRequest, headers: Any = None) -> _Prepared:
        """Reads a request and the headers of its images; in a thread, if that takes long."""
        if isinstance(payload, RestBody) and len(payload.content) <= _SHORT_BYTES:
            return self._prepare(payload)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._prepare, payload)

    async def predict(self, payload: _Prepared, headers: Any = None, told: Any = None) -> Any:
        """Asks the version that answers now; it stays the one whatever is loaded meanwhile."""
        batcher = self.serving
        if batcher is None:
            raise NotLoadedError(f"no version of model {self.name} is loaded; come back later")
        self.check_version(payload.version)
        answer = await asyncio.wrap_future(batcher.submit(payload.images))
        told[VERSION_HEADER] = str(answer.version)
        return payload, answer

    async def postprocess(
        self, result: tuple[_Prepared, Answer], headers: Any = None, told: Any = None
    ) -> bytes | InferResponse:
        """Writes the answer by the protocol of the request."""
        prepared, answer = result
        if prepared.request is None:
            told["content-type"] = "application/json"
            return v1.write(answer, prepared.columnar)
        response = v2.respond(prepared.request, answer)
        if not prepared.rest:
            return response
        content, more = v2.write_rest(response)
        told.update(more)
        return content

    def check_version(self, wanted: int | None) -> None:
        """Refuses a version that is not loaded.

        Raises:
            UnknownVersionError: it is another than the one that answers.
        """
        served = self.serving.servable.number if self.serving else None
        if wanted is not None and wanted != served:
            raise UnknownVersionError(
                f"version {wanted} of model {self.name} is not loaded; loaded: {served or 'none'}"
            )

    def get_input_types(self) -> list[dict]:
        """Describes the input, as KServe asks for it."""
        return v2.inputs()

    def get_output_types(self) -> list[dict]:
        """Describes the outputs, as KServe asks for them."""
        return v2.outputs(self.serving.servable.classes if self.serving else -1)

    def statuses(self) -> list[dict[str, Any]]:
        """Returns what is known of each version, as TensorFlow Serving words it, newest first."""
        found = {}
        if self.serving is not None:
            found[self.serving.servable.number] = ("AVAILABLE", "OK", "")
        if self.failed is not None:
            found[self.failed.number] = ("END", "UNKNOWN", self.failed.why)
        if self.loading is not None:
            found[self.loading] = ("LOADING", "OK", "")
        return [
            {
                "version": str(number),
                "state": state,
                "status": {"error_code": code, "error_message": message},
            }
            for number, (state, code, message) in sorted(found.items(), reverse=True)
        ]

    def _prepare(self, payload: RestBody | InferRequest) -> _Prepared:
        rest = isinstance(payload, RestBody)
        if not isinstance(payload, RestBody):
            request, version = payload, version_number(payload.model_version)
        elif payload.protocol == 1:
            files, columnar = v1.read(payload.content)
            return _Prepared(None, columnar, self._checked(files), payload.version, rest)
        else:
            request = v2.read_rest(payload.content, payload.json_length, self.name)
            version = payload.version
        return _Prepared(request, False, self._checked(v2.images(request)), version, rest)

    def _checked(self, files: list[bytes]) -> Images:
        config = self._config
        if not 1 <= len(files) <= config.max_images:
            raise RefusedError(f"{len(files)} images; a request has 1 to {config.max_images}")
        pixels = 0
        for index, file in enumerate(files):
            if not isinstance(file, bytes):
                raise undecodable(index, "it is no string of bytes")
            try:
                pixels += check_header(file, self._limits)
            except RejectedError as error:
                raise undecodable(index, f"{error.reason}: {error.detail}") from None
        if pixels > config.max_request_pixels:
            raise RefusedError(
                f"the images have {pixels} pixels together, limit {config.max_request_pixels}: "
                "send them in several requests"
            )
        return Images(files, pixels)


def version_number(text: str | None) -> int | None:
    """Reads the version that a request names, if it names one.

    Raises:
        UnknownVersionError: it is no number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise UnknownVersionError(f"version {text:.40} is no number; versions are numbered")
    return int(text)
