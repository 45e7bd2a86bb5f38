import base64
import io

import numpy as np
import pytest
from PIL import Image

from components.run_report.thumbnails import thumbnail, thumbnail_of
from tests import images


def _shown(jpeg: str | None) -> np.ndarray:
    """Returns the pixels of a thumbnail."""
    assert jpeg is not None
    with Image.open(io.BytesIO(base64.b64decode(jpeg, validate=True))) as image:
        assert image.format == "JPEG"
        return np.asarray(image)


def test_pixels_keep_their_colours_and_their_shape() -> None:
    red = np.zeros((100, 400, 3), np.uint8)
    red[..., 0] = 255
    shown = _shown(thumbnail(red))
    assert shown.shape == (32, 128, 3)
    np.testing.assert_allclose(shown.mean((0, 1)), (254, 0, 0), atol=2)
    assert _shown(thumbnail(np.full((8, 6), 9, np.uint8))).shape == (8, 6, 3)


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [
        ("JPEG", "CMYK"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("WEBP", "RGB"),
    ],
)
def test_files_of_every_format(file_format: str, mode: str) -> None:
    contents = images.encode(file_format=file_format, size=(600, 300), mode=mode)
    shown = _shown(thumbnail_of(contents, side=64))
    assert shown.shape == (32, 64, 3)
    assert shown.mean() == pytest.approx(127, abs=6)


def test_sixteen_bits_are_cut_to_eight() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((9, 9), 0x4000, np.uint16)).save(buffer, "PNG")
    assert _shown(thumbnail_of(buffer.getvalue())).mean() == pytest.approx(0x40, abs=1)


def test_the_orientation_is_ignored_as_in_training() -> None:
    assert _shown(thumbnail_of(images.rotated())).shape == (12, 16, 3)


@pytest.mark.parametrize(
    "contents",
    [b"", b"no image", images.encode(size=(64, 64))[:-500], images.png_bomb()],
    ids=["empty", "text", "cut off", "too many pixels"],
)
def test_what_cannot_be_shown_is_none(contents: bytes) -> None:
    assert thumbnail_of(contents) is None
