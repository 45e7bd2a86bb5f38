"""Heat maps lie over what the model saw."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from components.evaluator.pictures import overlay
from components.run_report.thumbnails import thumbnail

CORNER = np.array([[1, 0], [0, 0]], np.float32)


def laid_over(size: tuple[int, int], region: list[float]) -> np.ndarray:
    """How light each pixel of a grey picture has become: float [height, width]."""
    width, height = size
    jpeg = overlay(thumbnail(np.full((height, width, 3), 128, np.uint8)), CORNER, np.array(region))
    with Image.open(io.BytesIO(base64.b64decode(jpeg))) as image:
        assert image.size == size
        return np.asarray(image.convert("L")).astype(float)


@pytest.mark.parametrize(
    ("size", "region", "hottest", "cold"),
    [
        ((64, 64), [0, 0, 1, 1], (8, 8), (56, 56)),
        ((96, 48), [0, 0, 1, 1], (6, 12), (40, 80)),  # squashed: as wide as the picture
        ((96, 48), [0, 0.25, 1, 0.75], (6, 30), (40, 66)),  # cropped to its centre
        ((96, 48), [-0.5, 0, 1.5, 1], (0, 12), (47, 90)),  # padded: as high as wide
    ],
)
def test_a_corner_lies_where_it_was_seen(size, region, hottest, cold):
    found = laid_over(size, region)
    assert found[hottest] > 0.9 * found.max()
    assert found[cold] < 0.6 * found.max()


def test_what_was_cropped_away_is_dark():
    jpeg = overlay(
        thumbnail(np.full((48, 96, 3), 200, np.uint8)), CORNER, np.array([0, 0.25, 1, 0.75])
    )
    with Image.open(io.BytesIO(base64.b64decode(jpeg))) as image:
        found = np.asarray(image.convert("L")).astype(float)
    assert found[:, :20].max() < 80
    assert found[:, 30:66].min() > 100
