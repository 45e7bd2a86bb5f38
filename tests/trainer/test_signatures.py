"""The exported model: any number of image files in, classes out, and what spoke for them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components import features
from tests.images import encode
from trainer.backbones.build import build_backbone
from trainer.model import Classifier
from trainer.preprocessing import decode_and_resize, to_size
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


def gradcam(classifier: Classifier, pixels: tf.Tensor) -> tf.Tensor:
    """Grad-CAM of the likeliest class [batch, height, width] as published: by gradients."""
    network = classifier.network
    whole = keras.Model(network.input, [network.get_layer("pooling").input, network.output])
    with tf.GradientTape() as tape:
        feature_map, logits = whole(pixels, training=False)
        score = tf.reduce_max(logits, axis=1)
    weights = tf.reduce_mean(tape.gradient(score, feature_map), axis=(1, 2), keepdims=True)
    found = tf.nn.relu(tf.reduce_sum(weights * feature_map, axis=-1))
    return found / tf.reduce_max(found, axis=(1, 2), keepdims=True)


@pytest.mark.parametrize("backbone", ["efficientnet-lite0", "efficientnet-b0"])
def test_what_spoke_for_an_answer_is_what_gradcam_finds(backbone: str, tmp_path) -> None:
    """Also where the network takes other images than those that it was transformed to."""
    keras.utils.set_random_seed(1)
    classifier = Classifier(build_backbone(backbone, "none", 96), 3, dropout=0.2)
    # Random weights leave nothing of a picture at the top, unless they are made larger.
    classifier.network.set_weights([1.2 * weight for weight in classifier.network.get_weights()])
    files = tf.constant([encode(seed, "PNG") for seed in range(4)])
    export(ServingModule(classifier.network, ["hat", "dress", "<b>"], 64, "crop"), str(tmp_path))
    signatures = tf.saved_model.load(str(tmp_path)).signatures
    found = signatures[features.ACTIVATION_SIGNATURE](image=files)
    pixels = to_size(decode_and_resize(files, 64, "crop"), 96)
    expected = gradcam(classifier, pixels)
    assert found["activation"].shape == (4, 3, 3)
    assert np.ptp(expected, axis=(1, 2)).min() > 0.1
    np.testing.assert_allclose(found["activation"], expected, atol=1e-4)
    answer = signatures[features.SERVING_SIGNATURE](image=files)
    np.testing.assert_array_equal(found["label"], answer["label"])
    none = tf.constant([], tf.string)
    assert signatures[features.ACTIVATION_SIGNATURE](image=none)["label"].shape == (0,)


def test_what_spoke_for_an_answer_lies_where_the_network_looks(tmp_path) -> None:
    """A network that tells images apart by one thing: red, wherever it is."""
    inputs = keras.Input((64, 64, 3))
    reds = keras.layers.AveragePooling2D(16)(inputs)
    pooled = keras.layers.Dropout(0.1)(keras.layers.GlobalAveragePooling2D()(reds))
    dense = keras.layers.Dense(2)
    network = keras.Model(inputs, dense(pooled))
    dense.set_weights([np.array([[1.0, 0], [-1, 0], [-1, 0]]), np.array([0.0, -900])])
    picture = np.full((64, 64, 3), 60, np.uint8)
    picture[:, :, 0] = 30
    picture[16:32, 48:] = [250, 0, 0]
    export(ServingModule(network, ["red", "other"], 64, "squash"), str(tmp_path))
    show = tf.saved_model.load(str(tmp_path)).signatures[features.ACTIVATION_SIGNATURE]
    found = show(image=tf.io.encode_png(picture)[tf.newaxis])
    expected = np.zeros((1, 4, 4))
    expected[0, 1, 3] = 1
    np.testing.assert_allclose(found["activation"], expected, atol=1e-6)
    nothing = show(image=tf.io.encode_png(np.full_like(picture, 30))[tf.newaxis])
    np.testing.assert_array_equal(nothing["activation"], np.zeros((1, 4, 4)))


def test_a_network_with_another_head_explains_nothing(signatures: dict) -> None:
    assert set(signatures) == {features.SERVING_SIGNATURE, features.LABELS_SIGNATURE}
