import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.image_ops import decode_image
from tests import images


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [
        *(("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
        *(("PNG", mode) for mode in ("RGB", "L", "LA", "RGBA", "P", "1")),
        *(("BMP", mode) for mode in ("RGB", "L", "RGBA")),
        ("GIF", "P"),
        ("WEBP", "RGB"),
    ],
)
def test_every_accepted_format_becomes_rgb(file_format: str, mode: str) -> None:
    decoded = decode_image(tf.constant(images.encode(file_format=file_format, mode=mode)))
    assert decoded.dtype == tf.uint8
    assert decoded.shape == (12, 16, 3)


def test_lossless_pixels_arrive_unchanged_eagerly_and_in_tf_data() -> None:
    contents = images.encode(seed=3, file_format="PNG")
    expected = np.random.default_rng(3).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    dataset = tf.data.Dataset.from_tensors(contents).map(decode_image)
    assert dataset.element_spec.shape.as_list() == [None, None, 3]
    np.testing.assert_array_equal(decode_image(tf.constant(contents)), expected)
    np.testing.assert_array_equal(next(iter(dataset)), expected)


def test_the_first_frame_stands_for_an_animation() -> None:
    contents = images.animated_gif(2)
    first = Image.open(io.BytesIO(contents)).convert("RGB")
    np.testing.assert_array_equal(decode_image(tf.constant(contents)), np.asarray(first))
