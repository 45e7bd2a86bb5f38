"""What an interrupted training goes on from, in a folder and in a bucket."""

import pickle

import numpy as np
import pytest

from components.store import open_store
from trainer.checkpoints import Checkpoint, checkpoint_at


@pytest.fixture
def checkpoint(address: str) -> Checkpoint:
    return checkpoint_at(address)


def test_the_newest_state_comes_back_until_it_is_cleared(
    checkpoint: Checkpoint, address: str
) -> None:
    checkpoint.clear()
    assert checkpoint.load() is None
    for epoch in (1, 2):
        weights = [np.full((2, 3), epoch, np.float32), np.arange(epoch)]
        checkpoint.save({"epoch": epoch}, {"weights": weights, "none": []})
    # As it goes to the process that trains by JAX.
    saved = pickle.loads(pickle.dumps(checkpoint)).load()
    assert saved is not None
    assert saved.facts == {"epoch": 2}
    np.testing.assert_array_equal(saved.arrays["weights"][0], np.full((2, 3), 2))
    np.testing.assert_array_equal(saved.arrays["weights"][1], [0, 1])
    assert open_store(address).names() == ["checkpoint.npz"]
    checkpoint.clear()
    assert checkpoint.load() is None
    assert open_store(address).walk() == []


def test_of_several_workers_one_writes(checkpoint: Checkpoint, address: str) -> None:
    checkpoint_at(address, writable=False).save({"epoch": 1}, {})
    assert checkpoint.load() is None
