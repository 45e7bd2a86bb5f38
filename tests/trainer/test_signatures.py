"""The exported model: any number of image files in, classes out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.images import encode
from trainer.signatures import ServingModule, export


@pytest.fixture(scope="module")
def signatures(tmp_path_factory: pytest.TempPathFactory) -> dict:
    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs / 255.0)
    network = keras.Model(inputs, keras.layers.Dense(3)(pooled))
    folder = str(tmp_path_factory.mktemp("export") / "model")
    export(ServingModule(network, ["hat", "dress", "<b>"], 32, "squash"), folder)
    return tf.saved_model.load(folder).signatures


@pytest.mark.parametrize("count", [0, 1, 32, 71])
def test_an_answer_depends_on_the_image_alone(signatures: dict, count: int) -> None:
    files = [encode(seed, "PNG" if seed % 2 else "JPEG") for seed in range(count)]
    answer = signatures["serving_default"](image=tf.constant(files, tf.string, shape=[count]))
    assert answer["probabilities"].shape == (count, 3)
    assert answer["label"].shape == answer["score"].shape == (count,)
    for number in (0, count - 1) if count else ():
        alone = signatures["serving_default"](image=tf.constant([files[number]]))
        np.testing.assert_allclose(
            alone["probabilities"][0], answer["probabilities"][number], atol=1e-6
        )
        assert alone["label"][0] == answer["label"][number]


def test_a_file_that_is_no_image_is_an_error(signatures: dict) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["serving_default"](image=tf.constant([b"not an image"]))


def test_labels_that_the_model_does_not_know_weigh_nothing(signatures: dict) -> None:
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={"label": tf.train.Feature(bytes_list=tf.train.BytesList(value=[label]))}
            )
        ).SerializeToString()
        for label in (b"<b>", b"scarf")
    ]
    found = signatures["transform_labels"](examples=tf.constant(examples))
    assert found["label_id"].numpy().tolist() == [2, 0]
    assert found["label_known"].numpy().tolist() == [1.0, 0.0]
