"""Shows the pages of an output on this machine only, and keeps those of a run that goes on fresh.

Two kinds of path are answered, and no file is read by its name: each page is made when it is asked
for. Names of hosts other than the loopback's are refused, so that no web site can have a browser
read the pages by a name of its own that leads here.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from components.errors import InputError
from components.run_report.page import script_hash
from components.store import Store
from pipeline.layout import INDEX_FILE, REPORT_FILE, is_run_id
from pipeline.run_pages import index_page, run_page

HOST = "127.0.0.1"
_NAMES = [HOST, "localhost"]
_REFRESH_SECONDS = 3.0
# Of the time, for making pages while a run goes on beside it.
_SHARE = 0.2
_KEPT = 8


class Pages:
    """The pages as they are now, made one at a time, and rarely enough to leave a run its cores."""

    def __init__(self, output: Store) -> None:
        """Takes an output folder, on a file system or in a bucket."""
        self._output = output
        self._lock = threading.Lock()
        self._made: dict[str, tuple[float, str]] = {}  # until when a page may be shown again

    def index(self) -> str:
        """Returns the page of all runs."""
        return self._page("", lambda: index_page(self._output, live=True, refresh=_REFRESH_SECONDS))

    def run(self, run_id: str) -> str:
        """Returns the page of a run.

        Raises:
            InputError: if there is none.
        """
        return self._page(run_id, lambda: run_page(self._output, run_id, _REFRESH_SECONDS))

    def _page(self, key: str, make: Callable[[], str]) -> str:
        with self._lock:
            until, page = self._made.pop(key, (0.0, ""))
            begun = time.monotonic()
            if begun >= until:
                page = make()
                ended = time.monotonic()
                until = ended + (ended - begun) * (1 / _SHARE - 1)
            self._made[key] = until, page
            while len(self._made) > _KEPT:
                del self._made[next(iter(self._made))]
            return page


def make_app(output: Store) -> Starlette:
    """Returns the application that answers with the pages of an output."""
    pages = Pages(output)

    def index(request: Request) -> Response:
        return HTMLResponse(pages.index(), headers=headers)

    def run(request: Request) -> Response:
        run_id = request.path_params["run_id"]
        try:
            if is_run_id(run_id):
                return HTMLResponse(pages.run(run_id), headers=headers)
        except InputError as error:
            raise HTTPException(404, str(error)) from None
        raise HTTPException(404)

    headers = _headers()
    paths = {"/": index, f"/{INDEX_FILE}": index, f"/runs/{{run_id}}/{REPORT_FILE}": run}
    return Starlette(
        routes=[Route(path, answer, methods=["GET"]) for path, answer in paths.items()],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_NAMES)],
    )


def _headers() -> dict[str, str]:
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; connect-src 'self'; "
        f"script-src {script_hash()}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def serve_pages(output: Store, port: int, note: Callable[[str], None]) -> None:
    """Serves until Ctrl-C.

    Args:
        output: whose pages.
        port: on the loopback interface; 0: any free one.
        note: is told the address.

    Raises:
        InputError: if the port can't be had.
    """
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise InputError(
            f"port {port} can't be had ({error.strerror}): name another with --port; 0 takes any "
            "free one"
        ) from None
    with listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}/"
        note(f"the reports of {output} are at {address} on this machine; Ctrl-C ends")
        config = uvicorn.Config(
            make_app(output), log_level="warning", lifespan="off", timeout_graceful_shutdown=1
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
