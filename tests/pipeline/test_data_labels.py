"""Likely label errors, by a model that tells colours."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from components import features, learnt_images
from components.batch_scoring.model import FoundModel, find_model
from components.image_example_gen.checks import check_image
from components.image_example_gen.config import DataConfig
from components.image_example_gen.records import Checked
from components.image_example_gen.source import Item
from pipeline.data_labels import label_issues
from trainer.signatures import ServingModule, export

_COLOURS = ("red", "green", "blue")
_CONFIG = DataConfig()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> FoundModel:
    """The SavedModel of a network whose logits are the means of the three channels."""
    path = tmp_path_factory.mktemp("model") / "colours"
    inputs = keras.Input((32, 32, 3))
    logits = keras.layers.GlobalAveragePooling2D()(inputs / 20.0)
    export(ServingModule(keras.Model(inputs, logits), _COLOURS, 32, "squash"), str(path))
    (path / features.EXTRA).mkdir()
    training = {"classes": list(_COLOURS)}
    (path / features.EXTRA / features.TRAINING_FILE).write_text(json.dumps(training))
    return find_model(path)


def _image(folder: Path, seed: int, colour: str, label: str) -> Checked:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 90, (24, 24, 3), np.uint8)
    pixels[:, :, _COLOURS.index(colour)] += np.uint8(rng.integers(60, 160))
    path = folder / f"{seed}.png"
    Image.fromarray(pixels).save(path)
    item = Item(id=path.name, path=str(path), label=label, size=path.stat().st_size)
    return Checked(item, check_image(path.read_bytes(), _CONFIG))


@pytest.fixture
def images(tmp_path: Path) -> list[Checked]:
    """Sixty images, of which 5, 25 and 45 have another colour's label."""
    swapped = {5: "red", 25: "blue", 45: "green"}
    return [
        _image(tmp_path, seed, _COLOURS[seed % 3], swapped.get(seed, _COLOURS[seed % 3]))
        for seed in range(60)
    ]


def test_swapped_labels_are_found_with_their_pictures(model: FoundModel, images) -> None:
    asked: list[int] = []
    issues = label_issues({"train": images[:40], "test": images[40:]}, model, _CONFIG, asked.append)
    assert sorted(issues.ids) == ["25.png", "45.png", "5.png"]
    assert {(i.image.id, i.image.split, i.image.label, i.suggested) for i in issues.shown} == {
        ("5.png", "train", "red", "blue"),
        ("25.png", "train", "blue", "green"),
        ("45.png", "test", "green", "red"),
    }
    assert all(issue.image.jpeg for issue in issues.shown)
    assert (issues.judged, issues.count, sum(asked)) == (60, 3, 60)
    assert issues.method == "colours, which may have learnt from them, and then finds few"


def test_it_says_what_was_learnt_from_and_what_is_left_out(
    model: FoundModel, images: list[Checked], tmp_path: Path
) -> None:
    learnt = [(image.facts.content_hash, image.item.label) for image in images[:30]]
    table = model.path / features.EXTRA / learnt_images.FILE
    table.write_bytes(learnt_images.to_bytes(learnt_images.learnt_images(learnt)))
    images = [*images, _image(tmp_path, 60, "red", "infrared")]
    asked: list[int] = []
    issues = label_issues({"train": images}, model, _CONFIG, asked.append)
    table.unlink()
    assert (issues.judged, sum(asked)) == (60, 61)
    assert sorted(issues.ids) == ["25.png", "45.png", "5.png"]
    assert issues.method == (
        "colours, which has learnt from 30 of them, and finds fewer among those; 1 of classes "
        "that it doesn't know are left out"
    )
