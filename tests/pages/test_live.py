"""A page of a run that goes on: it renews itself, and leaves the reader where he is."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from components.run_report.facts import Node, RunReport, RunSummary
from components.run_report.page import render, script_hash
from tests import report_facts as facts
from tests.pages.browser import opened

SECONDS = 0.05
PATIENCE = 20.0


class Server(http.server.ThreadingHTTPServer):
    """Answers each request with the page as it is now, which may run our own script only."""

    page = ""
    answered = 0


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.answered += 1
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; connect-src 'self'"
        self.send_header("Content-Security-Policy", f"{policy}; script-src {script_hash()}")
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def served(page: str) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.page = page
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def running(note: str, **more: object) -> str:
    node = Node(name="Trainer", state="running", seconds=3.0, note=note)
    return render(RunReport(run_id="one", nodes=(node,), refresh=SECONDS, **more))


def wait_for(look, text: str) -> None:
    # Not by the browser's own means: the policy of the page forbids what they evaluate.
    ends = time.monotonic() + PATIENCE
    while text not in look.page.inner_text("main") and time.monotonic() < ends:
        time.sleep(SECONDS)
    assert text in look.page.inner_text("main")


def test_a_live_page_renews_itself_and_keeps_what_is_open_and_focused(browser):
    with (
        served(running("epoch 1")) as server,
        opened(browser, f"http://127.0.0.1:{server.server_port}/") as look,
    ):
        assert look.page.locator("nav").count() == 0
        server.page = running("epoch 2", data=facts.data())
        wait_for(look, "epoch 2")
        # In one step each, as the elements are replaced meanwhile.
        look.page.evaluate("""() => {
            document.querySelector('nav a[href="#data"]').focus();
            document.querySelector("#data details").open = true;
        }""")
        server.page = running("epoch 3", data=facts.data())
        wait_for(look, "epoch 3")
        assert look.page.evaluate("document.activeElement.getAttribute('href')") == "#data"
        assert look.page.evaluate("document.querySelector('#data details').open")
        look.page.evaluate("document.querySelector('#data summary').focus()")
        server.page = running("epoch 4", data=facts.data())
        wait_for(look, "epoch 4")
        assert look.page.evaluate("document.activeElement.closest('section').id") == "data"

        ended = RunSummary(verdict="refused", withheld="versions are held")
        server.page = render(RunReport(run_id="one", summary=ended))
        wait_for(look, "versions are held")
        answered = server.answered
        time.sleep(5 * SECONDS)
        assert server.answered == answered, "a page that no longer changes was asked for again"
        assert [one for one in look.problems if not one.startswith("request: ")] == []
