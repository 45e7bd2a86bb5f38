"""Heat maps lie over what the model saw."""

import base64
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components import features, run_events
from components.evaluator.pictures import overlay, with_images
from components.run_report.parts import Answer, EvaluationPart, Thumbnail
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


def test_a_line_of_pixels_takes_no_room() -> None:
    """As wide as high once it is padded: 6 million times its height."""
    assert laid_over((128, 1), [-3e6, 0, 3e6, 1]).shape == (1, 128)


def test_images_are_shown_although_nothing_can_explain_them(tmp_path, monkeypatch):
    monkeypatch.setenv(run_events.RUN_DIR_VARIABLE, str(tmp_path))
    png = tf.io.encode_png(np.zeros((8, 8, 3), np.uint8)).numpy()
    feature = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in ((features.ID, b"a.png"), (features.IMAGE, png))
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    (tmp_path / "test").mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / "test" / "part-0")) as writer:
        writer.write(example.SerializeToString())
    answer = Answer(image=Thumbnail(id="a.png", label="a"), predicted="a", score=1.0)
    part = EvaluationPart(images=1, accuracy=1.0, explained=(answer,))
    (found,) = with_images(part, [str(tmp_path / "test")], tmp_path / "no model").explained
    assert found.image.jpeg is not None
    assert found.activation is None
    (event,) = map(json.loads, (tmp_path / run_events.EVENTS_FILE).read_text().splitlines())
    assert "what spoke for answers: OSError" in event["text"]
