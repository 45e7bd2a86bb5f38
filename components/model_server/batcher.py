"""Puts the requests that come while a model computes together into its next call.

Nobody waits for company: an idle model takes a request alone, at once.
"""

import logging
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from prometheus_client import Histogram

from components.model_server.refusals import OverloadedError, RefusedError
from components.model_server.servable import Answer, Servable, UndecodableError, why_undecodable

_LOG = logging.getLogger(__name__)
_BATCH_IMAGES = Histogram(
    "effnet_batch_images",
    "images in one call of a model",
    ["model_name"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)


@dataclass(frozen=True)
class Images:
    """The images of one request, each with a good header.

    Attributes:
        files: whole files.
        pixels: that decoding all of them unpacks.
    """

    files: list[bytes]
    pixels: int


@dataclass
class _Waiting:
    images: Images
    answer: Future[Answer] = field(default_factory=Future)


class Batcher:
    """The queue before one version of a model, and the thread that asks it."""

    def __init__(
        self, name: str, servable: Servable, *, max_images: int, max_pixels: int, max_waiting: int
    ) -> None:
        """Starts the thread.

        Args:
            name: of the model.
            servable: its version.
            max_images: that requests are put together up to; one request alone may have more.
            max_pixels: the same, for the sum of their pixels.
            max_waiting: requests in the queue.
        """
        self.servable = servable
        self._name = name
        self._max_images, self._max_pixels = max_images, max_pixels
        self._max_waiting = max_waiting
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"{name}:{servable.number}")
        self._thread.daemon = True
        self._thread.start()

    def submit(self, images: Images) -> Future[Answer]:
        """Queues a request.

        Returns:
            The answer to come; or `RefusedError`, if an image can't be decoded.

        Raises:
            OverloadedError: the queue is full.
        """
        waiting = _Waiting(images)
        with self._changed:
            if len(self._queue) >= self._max_waiting:
                raise OverloadedError(
                    f"{len(self._queue)} requests wait for model {self._name}, which is as many "
                    "as may wait; come back in a second"
                )
            self._queue.append(waiting)
            self._changed.notify()
        return waiting.answer

    def close(self) -> None:
        """Lets the thread end once every queued request has its answer."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while batch := self._next_batch():
            running = [one for one in batch if one.answer.set_running_or_notify_cancel()]
            if running:
                self._answer(running)

    def _next_batch(self) -> list[_Waiting]:
        """Waits for requests; returns none when it is closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            batch: list[_Waiting] = []
            images = pixels = 0
            while self._queue:
                following = self._queue[0].images
                images += len(following.files)
                pixels += following.pixels
                if batch and (images > self._max_images or pixels > self._max_pixels):
                    break
                batch.append(self._queue.popleft())
            return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        """Answers every request, whatever happens: the thread must go on."""
        try:
            self._classify(batch)
        except Exception as error:
            _LOG.exception("model %s, version %d", self._name, self.servable.number)
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)

    def _classify(self, batch: list[_Waiting]) -> None:
        files = [file for waiting in batch for file in waiting.images.files]
        _BATCH_IMAGES.labels(self._name).observe(len(files))
        try:
            answer = self.servable.classify(files)
        except UndecodableError as error:
            self._without_the_undecodable(batch, error)
        else:
            start = 0
            for waiting in batch:
                stop = start + len(waiting.images.files)
                waiting.answer.set_result(answer.part(start, stop))
                start = stop

    def _without_the_undecodable(self, batch: list[_Waiting], error: UndecodableError) -> None:
        """Refuses the requests whose images are at fault, and asks again for the others."""
        good = []
        for waiting in batch:
            reasons = map(why_undecodable, waiting.images.files)
            found = next(((i, why) for i, why in enumerate(reasons) if why), None)
            if found:
                waiting.answer.set_exception(undecodable(*found))
            else:
                good.append(waiting)
        if len(good) < len(batch):
            if good:
                self._answer(good)
        elif len(batch) > 1:
            # The model decodes otherwise than we do; it says itself which request it means.
            for waiting in batch:
                self._answer([waiting])
        else:
            batch[0].answer.set_exception(RefusedError(f"an image can't be decoded: {error}"))


def undecodable(index: int, why: str) -> RefusedError:
    """Words the refusal of an image."""
    return RefusedError(f"image {index} of the request (counted from 0) can't be used: {why}")
