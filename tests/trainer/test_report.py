"""What a training leaves for the report, and likely label errors among what it learnt from."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from components import run_events
from components.run_report.parts import TrainingPart
from components.run_report.thumbnails import thumbnail
from tests.transformed import tiny_training
from trainer import label_check
from trainer.activation_cache import view_seeds
from trainer.activation_source import ActivationSource
from trainer.augmentation import Augmenter
from trainer.config import AugmentationConfig, StageConfig, TrainConfig
from trainer.input_pipeline import read_some
from trainer.report import training_part
from trainer.task import Data, read_data
from trainer.training import Trained, build_classifier, train

SWAPPED = 5
QUIET = {"label_check": False}


@pytest.fixture(scope="module")
def data(transformed, tmp_path_factory) -> Data:
    """One image of train stands under another class."""
    fn_args = transformed.fn_args(tmp_path_factory.mktemp("report"), tiny_training())
    found = read_data(fn_args)
    labels = found.train.labels.copy()
    labels[SWAPPED] = (labels[SWAPPED] + 1) % len(found.labels)
    return replace(found, train=replace(found.train, labels=labels))


@pytest.fixture(scope="module")
def trained(data) -> Trained:
    return train(data, tiny_training())


@pytest.fixture(scope="module")
def part(trained, data) -> TrainingPart:
    return training_part(trained, data, tiny_training())


def test_shows_images_of_each_class_as_they_were_changed(part, data, tiny_config):
    assert {shown.image.label for shown in part.augmentation} == set(data.labels)
    assert len(part.augmentation) == 4
    shown = part.augmentation[0]
    row = np.array([data.train.ids.tolist().index(shown.image.id.encode())])
    ((_, image),) = read_some(data.train, row, 1)
    assert shown.image.jpeg == thumbnail(image[0])
    augment = Augmenter(tiny_config.augmentation)
    for view, variant in enumerate(shown.variants, 1):
        seeds = view_seeds(data.train, row, tiny_config.seed, view)
        changed = augment(image, np.ones((1, 3), np.float32), seeds)[0][0].numpy()
        assert variant == thumbnail(changed.round().astype(np.uint8))
    assert len(set(shown.variants)) == 5


def test_what_does_not_augment_shows_no_changes(trained, data):
    stages = (StageConfig(train="head", epochs=1, learning_rate=1e-2),)
    part = training_part(trained, data, TrainConfig(stages=stages, **QUIET))
    assert part.augmentation == ()
    assert part.label_issues is None
    assert part.trained_parameters == 1280 * 3 + 3 < part.parameters


def test_mixtures_are_shown_as_such(trained, data, part):
    augmentation = AugmentationConfig(views=2, mixup=0.4)
    config = tiny_training().model_copy(update={"augmentation": augmentation, **QUIET})
    mixed = training_part(trained, data, config).augmentation
    assert len(mixed) == 4
    assert mixed[0].variants != part.augmentation[0].variants


@pytest.mark.parametrize("cached", [True, False])
def test_an_image_under_a_wrong_class_is_named(trained, data, part, cached):
    """Also where nothing is cached, as after a training that had ended before."""
    if not cached:
        trained.source.forget()
        part = training_part(trained, data, tiny_training())
    issues = part.label_issues
    assert issues.judged == 30
    assert issues.ids[0] == data.train.ids[SWAPPED].decode()
    first = issues.shown[0]
    given = data.train.labels[SWAPPED]
    assert (first.image.label, first.image.split) == (data.labels[given], "train")
    assert first.suggested == data.labels[given - 1]
    assert Image.open(io.BytesIO(base64.b64decode(first.image.jpeg))).size == (32, 32)


def test_features_are_of_the_first_weights_also_after_a_stage_that_changed_all(trained, data):
    """What a later stage caches has learnt the labels."""
    changed = trained.classifier
    stages = tuple(
        StageConfig(train=part, epochs=1, learning_rate=1e-3) for part in ("all", "head")
    )
    config = tiny_training().model_copy(update={"stages": stages})
    source = ActivationSource(changed, data.train, data.val, len(data.labels), config)
    source.at(stages[1])
    pretrained = build_classifier(data.labels, config, data.train.image_size)
    rows = np.arange(4)
    found = source.pooled("train", rows, pretrained)
    ((_, images),) = read_some(data.train, rows, len(rows))
    expected = np.asarray(pretrained.lower(0)(images.astype(np.float32)))
    order = np.argsort(data.train.rows[np.isin(data.train.rows, rows)])
    np.testing.assert_allclose(found, expected[order], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_shown_is_warned_of(trained, data, tmp_path, monkeypatch):
    monkeypatch.setenv(run_events.RUN_DIR_VARIABLE, str(tmp_path))
    gone = replace(data.train, files=(str(tmp_path / "gone"),))
    config = tiny_training().model_copy(update=QUIET)
    part = training_part(trained, replace(data, train=gone), config)
    assert part.augmentation == ()
    assert [len(curve.val_loss) for curve in part.curves] == [2, 1]
    events = map(json.loads, (tmp_path / run_events.EVENTS_FILE).read_text().splitlines())
    (warning,) = [event["text"] for event in events if event["event"] == "warning"]
    assert "the report lacks what augmentation does: NotFoundError" in warning


def test_a_class_of_few_images_is_not_judged():
    pooled = np.random.default_rng(0).normal(size=(23, 4)).astype(np.float32)
    labels = np.array([0] * 10 + [1] * 10 + [3] * 3)
    pooled[labels == 1] += 10
    found = label_check.out_of_sample(pooled, labels, 5)
    assert np.isnan(found[20:]).all()
    np.testing.assert_allclose(found[:20].sum(axis=1), 1)
    assert (found[:20].argmax(axis=1) == labels[:20]).all()
