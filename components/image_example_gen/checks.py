"""Checks one image: from its bytes to facts about it, or the reason why it is set aside."""

import hashlib
import io
import struct
import warnings

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image

from components.image_example_gen.config import DataConfig
from components.image_example_gen.near_duplicates import perceptual_hash
from components.image_example_gen.records import Facts
from components.image_ops import DECODABLE_FORMATS, decode_image

# The limit on pixels is the caller's, applied to the header before anything is decoded;
# Pillow's own can only be set for the whole process and would refuse what the caller allows.
Image.MAX_IMAGE_PIXELS = None
# Odd metadata is no reason to set an image aside, nor to fill the log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# Names by Pillow -> ours. MPO is a JPEG with further pictures behind the first.
_FORMATS = {"mpo": "jpeg"}
# Pillow's parsers that may see the bytes: what can be decoded, and what deserves its name in the
# reason why it can't be.
_PARSERS = (*DECODABLE_FORMATS, "tiff", "jpeg2000")
_DECODABLE = ", ".join(DECODABLE_FORMATS)

UNREADABLE = "unreadable"
EMPTY = "empty_file"
TOO_MANY_BYTES = "too_many_bytes"
TOO_MANY_PIXELS = "too_many_pixels"
NOT_AN_IMAGE = "not_an_image"
UNSUPPORTED = "unsupported_format"
UNDECODABLE = "undecodable"
MALFORMED_RECORD = "malformed_record"
UNKNOWN_LABEL = "unknown_label"


class RejectedError(Exception):
    """An image can't be used: `reason` is one of this module's constants."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def check_image(contents: bytes, config: DataConfig) -> Facts:
    """Looks at the header, then decodes once as training and serving will.

    Args:
      contents: a whole file.
      config: limits on bytes and pixels, and whether to make a perceptual hash.

    Raises:
      RejectedError: with the reason why the image is set aside.
    """
    _check_size(contents, config)
    with _open(contents) as image:
        format_name = _format_name(image)
        _check_header(image, format_name, contents, config)
        pixels = _decode(contents)
        if pixels.shape[:2] != (image.height, image.width):
            shape = f"{pixels.shape[1]} x {pixels.shape[0]}"
            raise RejectedError(
                UNDECODABLE, f"header says {image.width} x {image.height}, decoded {shape}"
            )
        wanted = config.near_duplicate_distance is not None
        return Facts(
            width=image.width,
            height=image.height,
            channels=len(image.getbands()),
            format=format_name,
            byte_size=len(contents),
            brightness=_brightness(pixels),
            content_hash=content_hash(contents),
            rotated=_is_rotated(image),
            perceptual_hash=perceptual_hash(pixels) if wanted else "",
        )


def check_header(contents: bytes, config: DataConfig) -> int:
    """Looks at the header only; what it says may still not decode.

    Args:
      contents: a whole file.
      config: limits on bytes and pixels.

    Returns:
      The pixels that decoding unpacks.

    Raises:
      RejectedError: with the reason why the image can't be used.
    """
    _check_size(contents, config)
    with _open(contents) as image:
        return _check_header(image, _format_name(image), contents, config)


def content_hash(contents: bytes) -> str:
    """Returns the hex SHA-256 of a file."""
    return hashlib.sha256(contents).hexdigest()


def _check_size(contents: bytes, config: DataConfig) -> None:
    if not contents:
        raise RejectedError(EMPTY, "the file is empty")
    if len(contents) > config.max_bytes:
        raise RejectedError(TOO_MANY_BYTES, f"{len(contents)} bytes, limit {config.max_bytes}")


def _format_name(image: Image.Image) -> str:
    name = (image.format or "").lower()
    return _FORMATS.get(name, name)


def _open(contents: bytes) -> Image.Image:
    """Reads the header only."""
    if contents[4:8] == b"ftyp":  # The container of HEIC, AVIF and of videos.
        brand = contents[8:12].decode("ascii", "replace").strip()
        raise RejectedError(UNSUPPORTED, f"{brand}; the serving graph decodes {_DECODABLE}")
    try:
        return Image.open(io.BytesIO(contents), formats=_PARSERS)
    except Exception as error:  # Pillow's plugins raise all kinds on broken headers.
        detail = " ".join(str(error).split())
        if "cannot identify image file" in detail:
            detail = f"no known image header, begins with {contents[:8]!r}"
        raise RejectedError(NOT_AN_IMAGE, detail) from None


def _check_header(image: Image.Image, format_name: str, contents: bytes, config: DataConfig) -> int:
    """Returns the pixels that decoding unpacks."""
    if format_name not in DECODABLE_FORMATS:
        raise RejectedError(UNSUPPORTED, f"{format_name}; the serving graph decodes {_DECODABLE}")
    if format_name == "bmp" and image.mode in ("1", "P"):
        # TensorFlow refuses one bit a pixel, and takes indices into a palette for grey values.
        raise RejectedError(UNSUPPORTED, "BMP with a palette; the serving graph would misread it")
    pixels = image.width * image.height
    if format_name == "gif":
        pixels = max(pixels, _gif_pixels(contents))
    if pixels > config.max_pixels:
        size = f"{image.width} x {image.height}"
        raise RejectedError(TOO_MANY_PIXELS, f"{size}, {pixels} in all, limit {config.max_pixels}")
    return pixels


def _decode(contents: bytes) -> np.ndarray:
    try:
        # A view, as Tensor.numpy() would copy the pixels.
        return np.asarray(memoryview(decode_image(contents)))
    except tf.errors.OpError as error:
        message = error.message.split("}}")[-1].split("[Op:")[0]
        raise RejectedError(UNDECODABLE, " ".join(message.split())) from None


def _brightness(pixels: np.ndarray) -> float:
    # Row by row, as the sum of one row fits 32 bits: half the time of a sum in 64.
    rows = pixels.reshape(len(pixels), -1).sum(axis=1, dtype=np.uint32)
    return float(rows.sum(dtype=np.uint64)) / pixels.size / 255.0


def _is_rotated(image: Image.Image) -> bool:
    # Image.getexif() would decode a PNG; the raw block is there once the header is read.
    block = image.info.get("exif")
    if not block:
        return False
    exif = Image.Exif()
    try:
        exif.load(block)
        return exif.get(ExifTags.Base.Orientation, 1) not in (0, 1)
    except Exception:  # Broken metadata, of all kinds: viewers show such an image upright.
        return False


def _gif_pixels(contents: bytes) -> int:
    """Adds up the frames' areas: TensorFlow unpacks all of them, even to return the first."""
    position = 13 + _colour_table(contents[10])
    total = 0
    try:
        while (block := contents[position]) in (0x21, 0x2C):
            if block == 0x2C:
                width, height, packed = struct.unpack_from("<4xHHB", contents, position + 1)
                total += width * height
                position += 11 + _colour_table(packed)  # With the LZW code size behind it.
            else:
                position += 2
            while size := contents[position]:
                position += 1 + size
            position += 1
    except (IndexError, struct.error):
        pass  # Cut off: what is there counts, and the decoder says the rest.
    return total


def _colour_table(packed: int) -> int:
    """Returns the bytes of a GIF colour table, from the flags of its descriptor."""
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0
