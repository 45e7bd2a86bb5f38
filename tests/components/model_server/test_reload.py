"""Versions change places while requests come, and nobody notices but by the number."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import tensorflow as tf

from components.model_server.process import RunningServer
from tests.components.model_server.conftest import Exported, expected, rows
from tests.images import encode

FILE = encode(5)
PATH = "/v1/models/swapped"


class Load:
    """Requests one after another in some threads, and what came of them."""

    def __init__(self, url: str) -> None:
        self.answers: list[tuple[str, list[float]]] = []
        self.failures: list[str] = []
        self._url, self._end = url, threading.Event()

    def ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._end.is_set():
                try:
                    answer = client.post(f"{PATH}:predict", json=rows(FILE, FILE))
                    version = answer.headers["x-model-version"]
                    for row in answer.json()["predictions"]:
                        self.answers.append((version, row["probabilities"]))
                except Exception as error:
                    self.failures.append(repr(error))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in threads:
                thread.join()


def statuses(client: httpx.Client) -> dict[str, str]:
    found = client.get(PATH).json()["model_version_status"]
    return {status["version"]: status["state"] for status in found}


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_push_and_a_rollback_under_load_fail_no_request_and_mix_no_versions(
    server: RunningServer,
    client: httpx.Client,
    models: Path,
    exported: Exported,
    in_process: dict[str, tf.Module],
) -> None:
    load, folder = Load(server.url), models / "swapped"
    with load.running():
        wait_for(lambda: len(load.answers) > 20)
        exported.put("second", folder / "4")
        wait_for(lambda: statuses(client) == {"4": "AVAILABLE"})
        seen = len(load.answers)
        wait_for(lambda: len(load.answers) > seen + 20)
        (folder / "4").rename(folder / ".4")
        wait_for(lambda: statuses(client) == {"3": "AVAILABLE"})
        seen = len(load.answers)
        wait_for(lambda: len(load.answers) > seen + 20)
    assert not load.failures
    truths = {
        "3": expected(in_process["first"], [FILE])[0],
        "4": expected(in_process["second"], [FILE])[0],
    }
    assert np.abs(truths["3"] - truths["4"]).max() > 0.01
    assert {version for version, _ in load.answers} == {"3", "4"}
    for version, probabilities in load.answers:
        np.testing.assert_allclose(probabilities, truths[version], atol=1e-4)


def test_a_version_that_cannot_be_loaded_is_told_and_the_old_one_stays(
    server: RunningServer, client: httpx.Client, models: Path, exported: Exported
) -> None:
    folder = models / "swapped"
    broken = folder / "7"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"no model")
    wait_for(lambda: statuses(client) == {"7": "END", "3": "AVAILABLE"})
    status = client.get(f"{PATH}/versions/7").json()["model_version_status"][0]["status"]
    assert status["error_message"]
    assert client.post(f"{PATH}:predict", json=rows(FILE)).headers["x-model-version"] == "3"
    tries = server.log.read_text().count("loading version 7")
    time.sleep(1)  # Ten looks at the folder.
    assert server.log.read_text().count("loading version 7") == tries
    (broken / "saved_model.pb").unlink()
    broken.rmdir()
    wait_for(lambda: statuses(client) == {"3": "AVAILABLE"})


def test_a_model_that_appears_is_served(
    client: httpx.Client, models: Path, exported: Exported
) -> None:
    (models / "new").mkdir()
    assert client.get("/v1/models/new").status_code == 404
    exported.put("second", models / "new" / "1")
    wait_for(lambda: client.get("/v2/models/new/ready").status_code == 200)
    assert client.post("/v1/models/new:predict", json=rows(FILE)).status_code == 200


def test_a_folder_that_cannot_be_read_keeps_what_it_has_and_others_from_nothing(
    server: RunningServer, client: httpx.Client, models: Path, exported: Exported
) -> None:
    for name in ("ailing", "sound"):
        (models / name).mkdir()
        exported.put("first", models / name / "1")
        wait_for(lambda name=name: client.get(f"/v2/models/{name}/ready").status_code == 200)
    unreadable = models / "ailing" / "2"
    unreadable.symlink_to("x" * 300)  # No system takes such a name, whoever asks.
    exported.put("second", models / "sound" / "2")
    sound = "/v1/models/sound/versions/2"
    wait_for(lambda: client.get(sound).status_code == 200)
    wait_for(lambda: "AVAILABLE" in client.get(sound).text)
    ailing = client.post("/v1/models/ailing:predict", json=rows(FILE))
    assert ailing.headers["x-model-version"] == "1"
    assert server.log.read_text().count("model ailing can't be looked at") == 1
    unreadable.unlink()
    exported.put("second", models / "ailing" / "2")
    wait_for(lambda: "AVAILABLE" in client.get("/v1/models/ailing/versions/2").text)
