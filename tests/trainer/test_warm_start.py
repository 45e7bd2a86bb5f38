"""A training that begins where the model that serves has ended."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.errors import ConfigError
from trainer import warm_start
from trainer.backbones.build import build_backbone
from trainer.model import Classifier
from trainer.signatures import ServingModule, export

SIZE = 32


def network(labels: list[str], seed: int, member: str = "efficientnet-lite0") -> keras.Model:
    keras.utils.set_random_seed(seed)
    return Classifier(build_backbone(member, "none", SIZE), len(labels), dropout=0.0).network


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """A network and its export."""
    labels = ["hat", "scarf"]
    served = network(labels, seed=1)
    folder = str(tmp_path_factory.mktemp("serving"))
    export(ServingModule(served, labels, SIZE, "squash"), folder)
    return served, folder


def test_the_same_classes_begin_with_the_same_answers(serving):
    served, folder = serving
    fresh = network(["hat", "scarf"], seed=2)
    assert warm_start.exists(folder)
    assert warm_start.begin_from(fresh, ["hat", "scarf"], folder) == []
    pixels = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3))
    np.testing.assert_allclose(fresh(pixels), served(pixels), atol=1e-6)


def test_classes_that_moved_keep_what_was_learnt_of_them_and_new_ones_begin_anew(serving):
    served, folder = serving
    labels = ["boot", "scarf", "hat"]
    fresh = network(labels, seed=2)
    kernel = fresh.get_layer("logits").get_weights()[0]
    assert warm_start.begin_from(fresh, labels, folder) == ["boot"]
    pixels = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3))
    np.testing.assert_allclose(fresh(pixels)[:, 1], served(pixels)[:, 1], atol=1e-6)
    np.testing.assert_allclose(fresh(pixels)[:, 2], served(pixels)[:, 0], atol=1e-6)
    np.testing.assert_array_equal(fresh.get_layer("logits").get_weights()[0][:, 0], kernel[:, 0])


def test_another_backbone_is_refused(serving):
    other = network(["hat", "scarf"], seed=0, member="efficientnet-lite1")
    with pytest.raises(ConfigError, match="has another backbone"):
        warm_start.begin_from(other, ["hat", "scarf"], serving[1])


def test_a_deeper_backbone_of_the_same_width_is_refused(tmp_path):
    served = network(["hat", "scarf"], seed=0, member="efficientnet-lite1")
    export(ServingModule(served, ["hat", "scarf"], SIZE, "squash"), str(tmp_path))
    with pytest.raises(ConfigError, match="it also has block"):
        warm_start.begin_from(network(["hat", "scarf"], seed=0), ["hat", "scarf"], str(tmp_path))


def test_a_model_of_another_make_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(ConfigError, match="does not tell its weights by name"):
        warm_start.begin_from(network(["hat", "scarf"], seed=0), ["hat", "scarf"], str(tmp_path))


def test_on_the_first_run_there_is_nothing_to_begin_from(tmp_path):
    assert not warm_start.exists(None)
    assert not warm_start.exists(str(tmp_path))
