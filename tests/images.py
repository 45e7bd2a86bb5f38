"""Makes small image files for tests."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def encode(
    seed: int = 0,
    file_format: str = "JPEG",
    size: tuple[int, int] = (16, 12),
    mode: str = "RGB",
    **options: Any,
) -> bytes:
    """Encodes noise as an image file.

    Args:
      seed: other seeds give other contents.
      file_format: by Pillow's name.
      size: width and height in pixels.
      mode: of Pillow: "RGB", "L", "RGBA", "P", "CMYK", ...
      **options: of Pillow's writer.
    """
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, file_format, **options)
    return buffer.getvalue()


def rotated(seed: int = 0) -> bytes:
    """Encodes a JPEG whose EXIF orientation is a quarter turn."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(seed, exif=exif)


def animated_gif(frames: int, size: tuple[int, int] = (16, 12)) -> bytes:
    """Encodes noise that changes from frame to frame."""
    pictures = [Image.open(io.BytesIO(encode(seed, "PNG", size))) for seed in range(frames)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:])
    return buffer.getvalue()


def png_bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """Returns a valid PNG of many pixels in few bytes: one bit each, all black."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * height), 9)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def write_class_folders(root: Path, counts: dict[str, int], first_seed: int = 0) -> list[Path]:
    """Writes JPEGs of different contents as root/<class>/<number>.jpg.

    Args:
      root: folder, made if it isn't there.
      counts: class name -> number of images.
      first_seed: of the contents; seeds count up from there.

    Returns:
      The files in order.
    """
    paths: list[Path] = []
    for label, count in counts.items():
        (root / label).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            seed = first_seed + len(paths)
            path = root / label / f"{seed:04d}.jpg"
            path.write_bytes(encode(seed))
            paths.append(path)
    return paths
