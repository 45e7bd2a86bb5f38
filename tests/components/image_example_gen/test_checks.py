import hashlib

import pytest

from components.image_example_gen import checks
from components.image_example_gen.config import DataConfig
from tests import images

CONFIG = DataConfig()


def _reason(contents: bytes, config: DataConfig = CONFIG) -> str:
    with pytest.raises(checks.RejectedError) as caught:
        checks.check_image(contents, config)
    return caught.value.reason


def test_facts_of_a_photograph() -> None:
    contents = images.encode(size=(20, 10))
    facts = checks.check_image(contents, CONFIG)
    assert (facts.width, facts.height, facts.channels, facts.format) == (20, 10, 3, "jpeg")
    assert facts.byte_size == len(contents)
    assert facts.content_hash == hashlib.sha256(contents).hexdigest()
    assert facts.brightness == pytest.approx(0.5, abs=0.05)
    assert not facts.rotated


def test_brightness_is_exact() -> None:
    black = checks.check_image(images.png_bomb(64, 64), CONFIG)
    assert (black.brightness, black.channels) == (0.0, 1)


@pytest.mark.parametrize(
    ("file_format", "mode", "channels"),
    [
        ("PNG", "RGBA", 4),
        ("PNG", "L", 1),
        ("JPEG", "CMYK", 4),
        ("GIF", "P", 1),
        ("BMP", "RGB", 3),
        ("WEBP", "RGB", 3),
    ],
)
def test_channels_are_those_of_the_file(file_format: str, mode: str, channels: int) -> None:
    facts = checks.check_image(images.encode(file_format=file_format, mode=mode), CONFIG)
    assert (facts.format, facts.channels) == (file_format.lower(), channels)


def test_orientation_is_noticed() -> None:
    assert checks.check_image(images.rotated(), CONFIG).rotated
    exif = b"Exif\0\0not a TIFF header"
    assert not checks.check_image(images.encode(exif=exif), CONFIG).rotated


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", checks.EMPTY),
        (b"This is no image.", checks.NOT_AN_IMAGE),
        (images.encode(size=(64, 64))[:-500], checks.UNDECODABLE),
        (images.encode(file_format="PNG")[:-50], checks.UNDECODABLE),
        (b"\xff\xd8\xff\xe0", checks.NOT_AN_IMAGE),
        (images.encode(file_format="TIFF"), checks.UNSUPPORTED),
        (images.encode(file_format="JPEG2000"), checks.UNSUPPORTED),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", checks.UNSUPPORTED),
        (images.encode(file_format="PPM"), checks.NOT_AN_IMAGE),
        # TensorFlow would take its indices for grey values.
        (images.encode(file_format="BMP", mode="P"), checks.UNSUPPORTED),
        (images.encode(file_format="BMP", mode="1"), checks.UNSUPPORTED),
    ],
)
def test_what_cannot_be_used_is_set_aside(contents: bytes, reason: str) -> None:
    assert _reason(contents) == reason


def test_a_bomb_is_known_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "decode_image", lambda _: pytest.fail("decoded"))
    assert _reason(images.png_bomb()) == checks.TOO_MANY_PIXELS


def test_all_frames_of_an_animation_count() -> None:
    animation = images.animated_gif(3, size=(10, 10))
    checks.check_image(animation, DataConfig(max_pixels=300))
    assert _reason(animation, DataConfig(max_pixels=299)) == checks.TOO_MANY_PIXELS
    # Cut off in the third frame.
    assert _reason(animation[:-20], DataConfig(max_pixels=200)) == checks.TOO_MANY_PIXELS


def test_limit_on_bytes() -> None:
    assert _reason(images.encode(), DataConfig(max_bytes=100)) == checks.TOO_MANY_BYTES
