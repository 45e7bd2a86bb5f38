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


@pytest.mark.parametrize(
    ("resize", "shape", "region"),
    [
        ("squash", (20, 40), [0, 0, 1, 1]),
        ("crop", (20, 40), [0, 0.25, 1, 0.75]),
        ("crop", (80, 20), [0.375, 0, 0.625, 1]),
        ("pad", (20, 40), [-0.5, 0, 1.5, 1]),
        ("pad", (80, 20), [0, -1.5, 1, 2.5]),
    ],
)
def test_the_region_is_what_a_resized_image_shows(resize, shape, region):
    image = np.zeros((*shape, 3), np.uint8)
    spot = (shape[0] * 9 // 16, shape[1] * 3 // 8)
    image[spot[0] - 1 : spot[0] + 1, spot[1] - 1 : spot[1] + 1] = 255
    found = preprocessing.seen_region(tf.constant(image), resize).numpy()
    np.testing.assert_allclose(found, region, atol=1e-6)
    resized = preprocessing.resize_image(tf.constant(image), 64, resize).numpy()[..., 0]
    top, left, bottom, right = found
    expected = 64 * (np.divide(spot, shape) - [top, left]) / [bottom - top, right - left]
    centre = np.average(np.argwhere(resized), axis=0, weights=resized[resized > 0]) + 0.5
    np.testing.assert_allclose(centre, expected, atol=0.6)


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
