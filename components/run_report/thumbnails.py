"""Small pictures that travel inside a page."""

import base64
import io

import numpy as np
from PIL import Image

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")  # those that training and serving decode
_MAX_PIXELS = 100_000_000
_QUALITY = 75  # 2 to 4 kB at 128 pixels


def thumbnail(pixels: np.ndarray, side: int = 128) -> str:
    """Makes a thumbnail of decoded pixels.

    Args:
        pixels: uint8 [height, width, 3] or [height, width], in [0, 255].
        side: pixels of the longer side at most; a smaller image keeps its size.

    Returns:
        A JPEG in base64.
    """
    return _encoded(Image.fromarray(pixels), side)


def thumbnail_of(contents: bytes, side: int = 128) -> str | None:
    """Makes a thumbnail of an image file, its EXIF orientation ignored as training ignores it.

    Args:
        contents: the file.
        side: pixels of the longer side at most; a smaller image keeps its size.

    Returns:
        A JPEG in base64; None where the file can't be decoded, or has too many pixels.
    """
    try:
        with Image.open(io.BytesIO(contents), formats=_FORMATS) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            # Twice as large as needed, so that what is left to be reduced is done well.
            image.draft("RGB", (2 * side, 2 * side))
            if image.mode.startswith("I"):  # 16 bits, of which Pillow would clip the upper ones
                return thumbnail((np.asarray(image) >> 8).astype(np.uint8), side)
            return _encoded(image, side)
    except Exception:  # Pillow's plugins raise all kinds on broken files.
        return None


def _encoded(image: Image.Image, side: int) -> str:
    if image.mode != "RGB":  # else it would be copied, which a large one is too large for
        image = image.convert("RGB")
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
