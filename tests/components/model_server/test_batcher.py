"""The queue before a model."""

import pytest

from components.model_server.batcher import Batcher, Images
from components.model_server.refusals import OverloadedError, RefusedError
from components.model_server.servable import Servable
from components.model_versions import Version
from tests.components.model_server.conftest import Exported
from tests.images import encode


def test_a_full_queue_takes_no_more_and_answers_what_it_has(exported: Exported) -> None:
    servable = Servable(Version(5, exported.folders["first"]))
    batcher = Batcher("one", servable, max_images=32, max_pixels=10**9, max_waiting=2)
    slow = Images([encode(1, "PNG", (300, 300))] * 50, 50 * 300 * 300)
    accepted = []
    with pytest.raises(OverloadedError, match="2 requests wait"):
        for _ in range(4):
            accepted.append(batcher.submit(slow))
    batcher.close()
    assert len(accepted) >= 2
    for answer in accepted:
        assert answer.result(60).version == 5
        assert answer.result().probabilities.shape == (50, 3)


def test_no_exception_ends_the_thread(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    servable = Servable(Version(5, exported.folders["first"]))
    batcher = Batcher("one", servable, max_images=1, max_pixels=10**9, max_waiting=9)
    broken = Images([b"no image"], 1)

    def out_of_memory(image: bytes) -> str | None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("components.model_server.batcher.why_undecodable", out_of_memory)
        with pytest.raises(MemoryError):
            batcher.submit(broken).result(60)
    with pytest.raises(RefusedError, match="image 0"):
        batcher.submit(broken).result(60)
    assert batcher.submit(Images([encode(1)], 1)).result(60).version == 5
    batcher.close()
