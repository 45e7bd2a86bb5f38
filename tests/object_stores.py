"""Servers that speak S3 and GCS over HTTP, on the loopback interface."""

import contextlib
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer
from urllib.parse import parse_qs, urlparse

import pytest

from components.store.open import file_system

_AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Runs moto's S3, which minds conditions as AWS does."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def reach_s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the variables by which AWS's SDK finds an endpoint, in children as well."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    for name, value in _AWS.items():
        if name not in os.environ:
            monkeypatch.setenv(name, value)


@contextlib.contextmanager
def gcs_server(conditional: bool = True) -> Iterator[str]:
    """Runs an emulator of GCS that serves one request at a time.

    Args:
        conditional: whether it minds ifGenerationMatch, which the emulator itself does not.
    """
    from gcp_storage_emulator.server import RequestHandler
    from gcp_storage_emulator.storage import Storage

    class Conditional(RequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            url = urlparse(self.path)
            query = parse_qs(url.query)
            expected = query.get("ifGenerationMatch")
            if expected and self._generation(url.path, query["name"][0]) != expected[0]:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_error(412)
            else:
                super().do_POST()

        def _generation(self, path: str, name: str) -> str:
            bucket = path.split("/b/")[1].split("/")[0]
            return self.storage.objects.get(bucket, {}).get(name, {}).get("generation", "0")

    handler = Conditional if conditional else RequestHandler
    server = HTTPServer(("127.0.0.1", 0), partial(handler, Storage(use_memory_fs=True)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_bucket(kind: str, name: str) -> str:
    """Makes a bucket and returns its address."""
    address = f"{kind}://{name}"
    file_system(kind).mkdir(name)
    return address
