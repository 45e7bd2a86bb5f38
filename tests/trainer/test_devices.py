"""Several workers on the loopback interface, and how a batch is dealt out."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components.errors import ConfigError
from components.model_versions import read_training
from trainer import run
from trainer.devices import is_chief, make_strategy
from trainer.hardware_config import HardwareConfig

WORKER = Path(__file__).parent / "worker.py"
ROOT = Path(__file__).parents[2]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def start(index: int, addresses: list[str], arguments: Path) -> subprocess.Popen:
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(task), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def losses(folder: Path) -> list[float]:
    stages = read_training(folder / "model" / "Format-Serving")["stages"]
    return [epoch["train"]["loss"] for stage in stages for epoch in stage["history"]]


def test_two_workers_train_as_one_and_one_of_them_writes(transformed, tiny_config, tmp_path):
    config = tiny_config.model_copy(update={"dropout": 0.0})
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    for index in range(2):
        fn_args = transformed.fn_args(tmp_path / str(index), config)
        (tmp_path / str(index)).mkdir()
        arguments = tmp_path / str(index) / "arguments.json"
        arguments.write_text(json.dumps(vars(fn_args)))
        workers.append(start(index, addresses, arguments))
    for worker in workers:
        said, _ = worker.communicate(timeout=240)
        assert worker.returncode == 0, said[-3000:]
    assert list((tmp_path / "1" / "model").rglob("*")) == [tmp_path / "1" / "model/Format-Serving"]
    assert not (tmp_path / "1" / "run").exists()
    run.run_fn(transformed.fn_args(tmp_path / "alone", config))
    np.testing.assert_allclose(losses(tmp_path / "0"), losses(tmp_path / "alone"), rtol=1e-3)


def test_workers_without_a_cluster_are_an_error(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="TF_CONFIG names 0 of them"):
        make_strategy(HardwareConfig(strategy="workers"))


def test_jax_on_several_machines_is_refused(monkeypatch):
    task = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    with pytest.raises(ConfigError, match="TF_CONFIG names 2 workers"):
        make_strategy(HardwareConfig(backend="jax"))


@pytest.mark.parametrize(
    ("cluster", "task", "chief"),
    [
        ({"worker": ["a:1"]}, {"type": "worker", "index": 0}, True),
        ({"worker": ["a:1", "b:1"]}, {"type": "worker", "index": 1}, False),
        ({"chief": ["c:1"], "worker": ["a:1"]}, {"type": "worker", "index": 0}, False),
        ({"chief": ["c:1"], "worker": ["a:1"]}, {"type": "chief", "index": 0}, True),
    ],
)
def test_one_worker_is_the_chief(cluster, task, chief, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    assert is_chief() is chief
