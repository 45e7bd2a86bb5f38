import numpy as np
import pytest
import tensorflow as tf

from components import features
from trainer import preprocessing
from trainer.input_pipeline import index_examples, read_pixels


@pytest.fixture
def halves() -> np.ndarray:
    """A wide image: a quarter red, half green, a quarter blue."""
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, :10, 0] = image[:, 10:30, 1] = image[:, 30:, 2] = 200
    return image


@pytest.mark.parametrize("within_dataset", [False, True])
@pytest.mark.parametrize(
    ("resize", "left", "top"),
    [
        ("squash", [200, 0, 0], [0, 200, 0]),
        ("crop", [0, 200, 0], [0, 200, 0]),
        ("pad", [200, 0, 0], [0, 0, 0]),
    ],
)
def test_resizes_eagerly_and_within_a_dataset(halves, resize, left, top, within_dataset):
    contents = tf.stack([tf.io.encode_png(halves)])
    if within_dataset:
        dataset = tf.data.Dataset.from_tensors(contents)
        pixels = next(
            iter(dataset.map(lambda batch: preprocessing.decode_and_resize(batch, 32, resize)))
        )
    else:
        pixels = preprocessing.decode_and_resize(contents, 32, resize)
    assert pixels.shape == (1, 32, 32, 3)
    assert pixels.dtype == tf.uint8
    np.testing.assert_array_equal(pixels[0, 16, 0], left)
    np.testing.assert_array_equal(pixels[0, 0, 16], top)


def test_extreme_aspects_stay_small():
    strip = np.full((1, 20_000, 3), 7, np.uint8)
    for resize in ("squash", "crop", "pad"):
        assert preprocessing.resize_image(tf.constant(strip), 32, resize).shape == (32, 32, 3)


def test_images_of_the_right_size_are_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    for resize in ("squash", "crop", "pad"):
        np.testing.assert_array_equal(
            preprocessing.resize_image(tf.constant(image), 32, resize), image
        )


def test_transformed_examples_hold_the_pixels(transformed):
    from tests.transformed import raw_examples

    index = index_examples([str(transformed.train / "*")], features.TRAIN)
    pixels = np.concatenate([batch.numpy() for batch in read_pixels(index, 5)])
    contents = tf.constant([example[features.IMAGE] for example in raw_examples(24, seed=0)])
    np.testing.assert_array_equal(pixels, preprocessing.decode_and_resize(contents, 32, "squash"))


def test_sparse_and_dense_columns_read_the_same():
    dense = tf.constant([["a"], ["b"]])
    for values in (dense, tf.sparse.from_dense(dense), dense[:, 0]):
        assert preprocessing._column(values).numpy().tolist() == [b"a", b"b"]
