"""Which images a model has learnt from: a small table that is kept with it.

An image is known by its content, so that neither another name nor another split hides it. Images
of train and of val count, as both have made the model what it is. Content and label stand there as
64 bits of a hash: 17 bytes an image, and no name of a user's file.
"""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from components.errors import DataError

FILE = "learnt_images.npy"
# `earlier`: not learnt from in this training, but before, by the model that it began from.
_ROW = np.dtype([("content", "<u8"), ("label", "<u8"), ("earlier", "?")])


def learnt_images(images: Iterable[tuple[str, str]]) -> np.ndarray:
    """Returns the table of images that one training learns from.

    Args:
        images: content hash (hex SHA-256) and label of each.

    Returns:
        Rows of `content` uint64, `label` uint64 and `earlier` bool, sorted, each once.
    """
    rows = {(_content(content), _label(label), False) for content, label in images}
    return np.array(sorted(rows), _ROW)


def begun_from(images: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Returns the table of a model that was trained on some images and began from another one.

    Args:
        images: table of this training.
        base: table of the model that it began from.
    """
    earlier = base[~np.isin(base["content"], images["content"])]
    earlier["earlier"] = True
    return np.sort(np.concatenate([images, earlier]))


def among(images: np.ndarray, contents: Iterable[str]) -> np.ndarray:
    """Bool: which contents (hex SHA-256) are in a table."""
    return np.isin(np.array([_content(content) for content in contents], "<u8"), images["content"])


def to_bytes(images: np.ndarray) -> bytes:
    """Returns a table as the content of its file, in NumPy's format."""
    buffer = io.BytesIO()
    np.save(buffer, images, allow_pickle=False)
    return buffer.getvalue()


def read(folder: Path) -> np.ndarray | None:
    """Reads the table in a folder; None where there is none.

    Raises:
        DataError: if it is damaged.
    """
    file = folder / FILE
    try:
        images = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (ValueError, EOFError) as error:
        raise _damaged(file, str(error)) from None
    if not isinstance(images, np.ndarray) or images.dtype != _ROW or images.ndim != 1:
        raise _damaged(file, "it is not a table of images")
    return images


def _damaged(file: Path, problem: str) -> DataError:
    return DataError(
        f"'{file}' is damaged ({problem}): put it back from a copy, or remove it; without it, it "
        "is not known which images the model has learnt from"
    )


def _content(content: str) -> int:
    return int(content[:16], 16)


def _label(label: str) -> int:
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big")
