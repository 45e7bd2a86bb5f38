"""What a training leaves for the report of the run."""

from collections.abc import Iterable, Iterator

import keras
import numpy as np

from components import features
from components.run_report.label_issues import with_pictures
from components.run_report.parts import (
    Augmented,
    Curve,
    LabelIssues,
    Thumbnail,
    TrainingPart,
    tried,
)
from components.run_report.thumbnails import thumbnail
from trainer import label_check
from trainer.activation_cache import FIRST_RANDOM_VIEW, one_hot, view_seeds
from trainer.augmentation import Augmenter
from trainer.config import AugmentationConfig, TrainConfig
from trainer.input_pipeline import ExampleIndex, read_some
from trainer.results import StageResult
from trainer.task import Data
from trainer.training import Trained, build_classifier

_IMAGES, _VARIANTS = 4, 5
_BATCH = 32


def training_part(
    trained: Trained, data: Data, config: TrainConfig, base_model: str | None = None
) -> TrainingPart:
    """Tells a training. What can't be told is warned of and left out: the model counts more.

    Args:
        trained: the classifier and how it came about.
        data: that it was trained on.
        config: that it was trained by.
        base_model: the model that served before, which a warm start began from.
    """
    network = trained.classifier.network
    nothing: tuple[Augmented, ...] = ()
    trained.classifier.train_only_above(config.trained_blocks(config.stages[-1]))
    return TrainingPart(
        backbone=config.backbone,
        weights=trained.weights,
        image_size=network.input.shape[1],
        parameters=network.count_params(),
        trained_parameters=sum(int(np.prod(v.shape)) for v in network.trainable_variables),
        curves=tuple(_curve(result) for result in trained.results),
        augmentation=tried(
            "the report lacks what augmentation does",
            lambda: _augmentation(data, config),
            nothing,
        ),
        label_issues=tried(
            "the report lacks likely label errors",
            lambda: _label_issues(trained, data, config, base_model),
            None,
        ),
    )


def _curve(result: StageResult) -> Curve:
    epochs = result.epochs
    return Curve(
        stage=result.stage.train,
        train_loss=tuple(epoch.train.loss for epoch in epochs),
        val_loss=tuple(epoch.val.loss for epoch in epochs),
        train_accuracy=tuple(epoch.train.accuracy for epoch in epochs),
        val_accuracy=tuple(epoch.val.accuracy for epoch in epochs),
        best_epoch=result.best_epoch,
        seconds=round(result.cache_seconds + result.seconds, 1),
    )


def _augmentation(data: Data, config: TrainConfig) -> tuple[Augmented, ...]:
    """Shows the changes of the last stage that makes some, by the seeds that it draws them by."""
    settings = [
        config.augmentation_of(stage)
        for stage in config.stages
        if stage.train == "all" or config.augmentation_of(stage).views != 1
    ]
    if not settings:
        return ()
    rows = _different(data.train)
    images = _images(data.train, rows)
    variants = list(_variants(images, rows, data, settings[-1], config.seed))
    return tuple(
        Augmented(
            image=Thumbnail(
                id=data.train.ids[row].decode(),
                label=data.labels[data.train.labels[row]],
                split=features.TRAIN,
                jpeg=_jpeg(image),
            ),
            variants=tuple(_jpeg(variant[number]) for variant in variants),
        )
        for number, (row, image) in enumerate(zip(rows, images, strict=True))
    )


def _variants(
    images: np.ndarray, rows: np.ndarray, data: Data, settings: AugmentationConfig, seed: int
) -> Iterator[np.ndarray]:
    augment = Augmenter(settings)
    targets = one_hot(data.train.labels[rows], len(data.labels))
    for view in range(FIRST_RANDOM_VIEW, FIRST_RANDOM_VIEW + _VARIANTS):
        yield augment(images, targets, view_seeds(data.train, rows, seed, view))[0].numpy()


def _different(index: ExampleIndex) -> np.ndarray:
    """A few rows, ascending: one of each class, as far as there are enough; drawn by their ids."""
    drawn = np.argsort(index.image_keys, kind="stable")
    _, firsts = np.unique(index.labels[drawn], return_index=True)
    others = np.setdiff1d(np.arange(len(drawn)), firsts)
    chosen = np.concatenate([np.sort(firsts), others])[:_IMAGES]
    return np.sort(drawn[chosen])


def _images(index: ExampleIndex, rows: np.ndarray) -> np.ndarray:
    """Images uint8 [rows, size, size, 3] of ascending rows."""
    images = np.empty((len(rows), index.image_size, index.image_size, 3), np.uint8)
    for some, pixels in read_some(index, rows, _BATCH):
        images[np.searchsorted(rows, some)] = pixels
    return images


def _label_issues(
    trained: Trained, data: Data, config: TrainConfig, base_model: str | None
) -> LabelIssues | None:
    if not config.label_check or config.hardware.backend == "jax":
        return None
    begin_from = base_model if trained.weights == "serving" else None
    keras.utils.set_random_seed(config.seed)
    size = data.train.image_size
    pretrained = build_classifier(data.labels, config, size, begin_from, again=True)
    issues = label_check.find(data, trained.source, pretrained, warm=bool(begin_from))
    return with_pictures(issues, _pictures(data, [issue.image.id for issue in issues.shown]))


def _pictures(data: Data, ids: Iterable[str]) -> dict[str, str]:
    """Thumbnails by id."""
    wanted = [image_id.encode() for image_id in ids]
    found = {}
    for index in (data.train, data.val):
        rows = np.flatnonzero(np.isin(index.ids, wanted))
        for row, image in zip(rows, _images(index, rows), strict=True):
            found[index.ids[row].decode()] = _jpeg(image)
    return found


def _jpeg(image: np.ndarray) -> str:
    """A thumbnail of pixels [size, size, 3] in [0, 255], of any number type."""
    return thumbnail(np.round(image).astype(np.uint8))
