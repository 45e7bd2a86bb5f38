import asyncio
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from starlette.applications import Starlette

from components.errors import InputError
from components.run_report.page import script_hash
from components.store import open_store
from pipeline.lock import hold
from pipeline.report_server import make_app, serve_pages
from pipeline.run_files import lock_holder


class Client:
    """Asks an application in this process."""

    def __init__(self, app: Starlette) -> None:
        self._transport = httpx.ASGITransport(app)

    def ask(self, method: str, path: str, **options: dict[str, str]) -> httpx.Response:
        async def answer() -> httpx.Response:
            address = "http://127.0.0.1:6007"
            async with httpx.AsyncClient(transport=self._transport, base_url=address) as client:
                return await client.request(method, path, **options)

        return asyncio.run(answer())

    def get(self, path: str, **options: dict[str, str]) -> httpx.Response:
        return self.ask("GET", path, **options)


@pytest.fixture
def make_client(output):
    return lambda: Client(make_app(open_store(str(output.root))))


@pytest.fixture
def client(make_client):
    return make_client()


def test_the_page_of_all_leads_to_that_of_each(output, left_run, client):
    run = left_run(1)

    index = client.get("/")

    assert index.status_code == 200
    link = f"runs/{run.id}/report.html"
    assert f'href="{link}"' in index.text
    page = client.get(f"/{link}")
    assert page.status_code == 200
    assert run.id in page.text
    assert client.get("/index.html").text == index.text
    assert "<script" not in page.text + index.text
    assert not run.report.exists(), "made for this answer only"


def test_pages_are_fresh_while_a_run_goes_on(output, left_run, client, make_client):
    run = left_run.start(1)
    link = f"/runs/{run.id}/report.html"

    with hold(output.lock, lock_holder(run.id), 0, pytest.fail):
        going_on = client.get(link)
        index = client.get("/")
    left_run.leave_data(run)
    run.summary.write_text('{"verdict": "refused", "run_id": "x", "data": "/d", "seconds": {}}')

    assert 'data-refresh="3.0"' in going_on.text
    assert 'data-refresh="3.0"' in index.text
    assert "head 2/8" in going_on.text
    ended = make_client().get(link)  # as the former one may show a page twice within a second
    assert "data-refresh" not in ended.text
    assert "refused" in ended.text


@pytest.mark.parametrize(
    "path",
    [
        "/runs/20261124-000001-ab12/config.yaml",
        "/runs/20261124-000001-ab12/",
        "/runs/20261124-000009-ab12/report.html",
        "/runs/..%2F..%2Fsecret/report.html",
        "/runs/%2e%2e/report.html",
        "/runs",
        "/metadata.sqlite",
        "/..%2fsecret",
    ],
)
def test_nothing_else_is_answered(output, left_run, client, path):
    left_run(1)
    output.metadata.write_text("secret")
    (output.root / "secret").mkdir()
    (output.root / "secret" / "report.html").write_text("secret")

    answer = client.get(path)

    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:6007", 200), ("127.0.0.1", 200), ("evil.example", 400), ("localhost.evil", 400)],
)
def test_only_the_machines_own_names_are_answered(output, left_run, client, host, status):
    left_run(1)
    assert client.get("/", headers={"Host": host}).status_code == status


def test_a_browser_may_run_our_script_only(output, left_run, client):
    left_run(1)
    headers = client.get("/").headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src {script_hash()};" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert client.ask("POST", "/").status_code == 405


def test_a_taken_port_is_told(output, left_run):
    left_run(1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} can't be had"):
            serve_pages(open_store(str(output.root)), port, pytest.fail)


def test_the_command_serves_until_ctrl_c(output, left_run, environment):
    left_run(1)
    words = ["-m", "pipeline.cli", "report", "--output", str(output.root), "--serve", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, *words],
        env={**environment, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as command:
        line = command.stdout.readline()
        address = line[line.index("http://") :].split()[0]
        assert httpx.get(address, timeout=30).status_code == 200
        command.send_signal(signal.SIGINT)
        rest = command.stdout.read()
    assert (command.returncode, rest.strip()) == (0, "")
