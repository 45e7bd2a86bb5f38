"""Reading in one thread while another one works."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

# Beside the one that is being made, and the one in use; more would only take memory.
_WAITING = 1
_END = object()

T = TypeVar("T")


def ahead(values: Iterable[T]) -> Iterator[T]:
    """Yields values in their order; each is made while what came before it is in use.

    Raises:
        Exception: what making a value raises, in its place.
    """
    made: queue.Queue[Any] = queue.Queue(_WAITING)
    stopped = threading.Event()

    def make() -> None:
        try:
            for value in values:
                made.put((value, None))
                if stopped.is_set():
                    return
            made.put((_END, None))
        except BaseException as error:
            made.put((_END, error))

    threading.Thread(target=make, daemon=True).start()
    try:
        while True:
            value, error = made.get()
            if error is not None:
                raise error
            if value is _END:
                return
            yield value
    finally:
        stopped.set()
        if not made.empty():
            made.get_nowait()
