"""Ingestion by workers in other processes writes what it writes in one."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.beam_config import BeamConfig
from tests import images
from tests.components.image_example_gen.test_executor import run

START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def running(module: str, *arguments: str, port: int | None = None) -> Iterator[None]:
    """Runs a Python module, and waits until it listens where it was told to."""
    # A worker pool starts `python` by that name.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], env={**os.environ, "PATH": path}
    )
    try:
        if port is not None:
            wait_for(process, port)
        yield
    finally:
        process.kill()
        process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with status {process.returncode}"
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


@pytest.fixture
def job_server(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """Beam's portable job server and a worker pool: what Flink and Spark are reached by."""
    jobs, pool = free_port(), free_port()
    modules = "apache_beam.runners"
    with (
        running(f"{modules}.portability.local_job_service_main", f"--port={jobs}", port=jobs),
        running(f"{modules}.worker.worker_pool_main", f"--service_port={pool}", port=pool),
    ):
        server = {
            "endpoint": f"localhost:{jobs}",
            "worker_pool": f"localhost:{pool}",
            "shared": str(tmp_path),
        }
        yield BeamConfig.parse({"runner": "flink", "job_server": server}).arguments


@pytest.fixture
def dask_cluster() -> Iterator[tuple[str, ...]]:
    """A scheduler and a worker, each a process of its own."""
    port = free_port()
    where = f"tcp://127.0.0.1:{port}"
    place = ("--host=127.0.0.1", f"--port={port}", "--no-dashboard")
    worker = (where, "--nthreads=2", "--no-nanny", "--no-dashboard")
    with (
        running("distributed.cli.dask_scheduler", *place, port=port),
        running("distributed.cli.dask_worker", *worker),
    ):
        yield BeamConfig.parse(
            {
                "runner": "apache_beam.runners.dask.dask_runner.DaskRunner",
                "extra_arguments": [f"--dask_client_address={where}"],
            }
        ).arguments


@pytest.mark.parametrize("cluster", ["job_server", "dask_cluster"])
def test_workers_elsewhere_write_the_same(cluster, request, tmp_path):
    images.write_class_folders(tmp_path / "data", {"cat": 12, "dog": 9})
    (tmp_path / "data/dog/broken.png").write_text("no picture")

    alone = run(tmp_path / "data", tmp_path / "alone")
    spread = run(tmp_path / "data", tmp_path / "spread", request.getfixturevalue(cluster))

    assert sum(map(len, alone.examples.values())) == 21
    assert spread.examples == alone.examples
    assert (spread.report, spread.rejected) == (alone.report, alone.rejected)
