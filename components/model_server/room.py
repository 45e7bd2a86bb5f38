"""The memory for what requests bring, which has an end."""

import contextlib
from collections.abc import Callable, Iterator

from components.model_server.refusals import OverloadedError

# Bodies of the greatest length that fit in.
BODIES = 8


class Room:
    """Counts the bytes of all requests in memory, over REST and gRPC together.

    To be used in the event loop alone.
    """

    def __init__(self, size: int) -> None:
        """Takes the bytes that there is room for."""
        self._size = size
        self._taken = 0

    @contextlib.contextmanager
    def for_one(self) -> Iterator[Callable[[int], None]]:
        """Keeps what one request takes, while the context lasts.

        Yields:
            A function that takes room for so many bytes more, or raises `OverloadedError`.
        """
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self._taken + size > self._size:
                raise OverloadedError(
                    f"the requests in memory have {self._taken} bytes, limit {self._size}; come "
                    "back in a second"
                )
            taken += size
            self._taken += size

        try:
            yield take
        finally:
            self._taken -= taken
