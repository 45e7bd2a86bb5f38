"""A dataset with faults that are known: near-duplicates, swapped labels and broken files."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from tests import images

# Text that a page, a terminal and a table have to show as it is.
ODD_LABELS = (
    "<script>alert(1)</script>",
    "\"double\" 'single' `back` & {{ 7 * 7 }}",
    "🐟 דג الأسماك",
    "long " * 40,
)
COUNTS = {"train": 180, "val": 60, "test": 60}
_SIZE = (112, 96)  # width and height in pixels
_COLOURS = ((200, 60, 60), (60, 190, 60), (60, 80, 210), (200, 190, 60))


@dataclass
class Planted:
    """What was planted, by the images' ids.

    Attributes:
      duplicates: pairs of an image of train and one of another split that looks the same.
      swapped: image -> the label that it should have.
      broken: files that can't be used -> the reason.
    """

    duplicates: set[tuple[str, str]] = field(default_factory=set)
    swapped: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def write(root: Path, labels: tuple[str, ...] | None = None, seed: int = 0) -> Planted:
    """Writes 300 images in folders of splits, 20 near-duplicates of them, and 10 broken files.

    Each class has its colour, each image its own texture; 20 images are under a wrong class.

    Args:
      root: folder, made if it isn't there.
      labels: of the four classes; a manifest, labels.csv, gives them to the images, as the name of
        a folder can't be any text. By default the folders' names: class-0 to class-3.
      seed: other seeds give other images.
    """
    rng = np.random.default_rng(seed)
    planted = Planted()
    names = labels or tuple(f"class-{index}" for index in range(len(_COLOURS)))
    rows = [
        row
        for split, count in COUNTS.items()
        for row in _write_split(root, split, count, names, planted, rng)
    ]
    rows += _write_duplicates(root, rows, planted)
    for number, (name, (contents, reason)) in enumerate(_broken().items()):
        path = f"train/class-{number % len(names)}/{name}"
        (root / path).write_bytes(contents)
        planted.broken[path] = reason
        rows.append((path, names[number % len(names)], "train"))
    if labels:
        with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image", "label", "split"), *rows])
    return planted


def _write_split(
    root: Path,
    split: str,
    count: int,
    names: tuple[str, ...],
    planted: Planted,
    rng: np.random.Generator,
) -> list[tuple[str, str, str]]:
    rows = []
    for number in range(count):
        true = number % len(names)
        wrong = number % 15 == 7  # 12 of train, 4 of val, 4 of test
        given = (true + 1) % len(names) if wrong else true
        path = f"{split}/class-{given}/{number:03d}.jpg"
        if wrong:
            planted.swapped[path] = names[true]
        _save(root / path, _image(true, rng), quality=92)
        rows.append((path, names[given], split))
    return rows


def _write_duplicates(
    root: Path, rows: list[tuple[str, str, str]], planted: Planted
) -> list[tuple[str, str, str]]:
    copies = []
    sources = [row for row in rows if row[2] == "train" and row[0] not in planted.swapped]
    for number, (path, label, _) in enumerate(sources[:: len(sources) // 20][:20]):
        split = ("val", "test")[number % 2]
        copy = (
            f"{split}/{Path(path).parent.name}/copy-{number:02d}.{('jpg', 'png')[number % 4 == 3]}"
        )
        with Image.open(root / path) as image:
            _save(root / copy, _changed(image, number), quality=60)
        planted.duplicates.add((path, copy))
        copies.append((copy, label, split))
    return copies


def _changed(image: Image.Image, number: int) -> Image.Image:
    """Changes what a person hardly sees: another size, brightness or margin."""
    width, height = image.size
    changes = (
        lambda: image,
        lambda: image.resize((width // 2, height // 2)),
        lambda: image.resize((width * 3, height * 3)),
        lambda: ImageEnhance.Brightness(image).enhance(1.15),
        lambda: image.crop((1, 1, width, height)),
    )
    return changes[number % len(changes)]()


def _image(colour: int, rng: np.random.Generator) -> Image.Image:
    """Draws a texture of patches in one colour, with noise."""
    patches = rng.integers(40, 256, (9, 10), dtype=np.uint8)
    texture = np.asarray(Image.fromarray(patches).resize(_SIZE, Image.Resampling.BICUBIC))
    pixels = texture[..., None] / 255 * np.array(_COLOURS[colour]) + rng.normal(0, 4, (1, 1, 3))
    pixels += rng.normal(0, 5, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _save(path: Path, image: Image.Image, quality: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=quality)


def _broken() -> dict[str, tuple[bytes, str]]:
    """Returns name -> content, and the reason why it can't be used."""
    jpeg, png = images.encode(1, size=(64, 64)), images.encode(2, "PNG", size=(64, 64))
    with io.BytesIO() as palette:
        Image.new("P", (8, 8)).save(palette, "BMP")
        bmp = palette.getvalue()
    return {
        "empty.jpg": (b"", "empty_file"),
        "text.jpg": (b"This is no image.", "not_an_image"),
        "page.png": (b"%PDF-1.7\n" + bytes(99), "not_an_image"),
        "cut.jpg": (jpeg[:-500], "undecodable"),
        "cut.png": (png[: len(png) // 2], "undecodable"),
        "head.jpg": (jpeg[:4], "not_an_image"),
        "scan.tiff": (images.encode(3, "TIFF"), "unsupported_format"),
        "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported_format"),
        "palette.bmp": (bmp, "unsupported_format"),
        "bomb.png": (images.png_bomb(), "too_many_pixels"),
    }
