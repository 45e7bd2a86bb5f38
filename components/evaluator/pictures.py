"""Pictures of test images for the report, and what in them spoke for the candidate's answers."""

import base64
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib import colormaps
from PIL import Image

from components import features
from components.run_report.label_issues import with_pictures
from components.run_report.parts import Answer, EvaluationPart, tried
from components.run_report.thumbnails import thumbnail, thumbnail_of

_COLORS = colormaps["inferno"]


def with_images(part: EvaluationPart, split: Sequence[str], model: Path) -> EvaluationPart:
    """Adds thumbnails, and heat maps to the answers that are to be explained.

    Args:
        part: without pictures.
        split: folders of TFRecords with the raw test examples.
        model: the candidate, a SavedModel; one that can't explain its answers leaves no heat maps.
    """
    issues = part.label_issues
    to_explain = {answer.image.id for answer in part.explained}
    wanted = {answer.image.id for answer in (*part.mistakes, *part.hesitant, *part.explained)}
    wanted |= {issue.image.id for issue in issues.shown} if issues else set()
    jpegs, files = {}, {}
    for image_id, contents in _images(split, wanted):
        jpegs[image_id] = thumbnail_of(contents)
        if image_id in to_explain:
            files[image_id] = contents
    nothing: dict[str, str] = {}
    maps = tried(
        "the report lacks what spoke for answers",
        lambda: _heat_maps(model, files, jpegs),
        nothing,
    )

    def pictured(answers: Sequence[Answer], maps: dict[str, str]) -> tuple[Answer, ...]:
        return tuple(
            answer.model_copy(
                update={
                    "image": answer.image.model_copy(update={"jpeg": jpegs.get(answer.image.id)}),
                    "activation": maps.get(answer.image.id),
                }
            )
            for answer in answers
        )

    return part.model_copy(
        update={
            "mistakes": pictured(part.mistakes, {}),
            "hesitant": pictured(part.hesitant, {}),
            "explained": pictured(part.explained, maps),
            "label_issues": with_pictures(issues, jpegs) if issues else None,
        }
    )


def _images(split: Sequence[str], wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Reads the split once; holds an image at a time."""
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in (features.ID, features.IMAGE)}
    ids = tf.constant(sorted(wanted), tf.string)
    for folder in split:
        for file in sorted(tf.io.gfile.glob(f"{folder}/*")):
            compression = "GZIP" if file.endswith(".gz") else ""
            examples = tf.data.TFRecordDataset(file, compression).map(
                lambda record: tf.io.parse_single_example(record, spec)
            )
            found = examples.filter(lambda example: tf.reduce_any(example[features.ID] == ids))
            for example in found.as_numpy_iterator():
                yield example[features.ID].decode("utf-8"), example[features.IMAGE]


def _heat_maps(
    model: Path, files: dict[str, bytes], jpegs: dict[str, str | None]
) -> dict[str, str]:
    loaded = tf.saved_model.load(str(model))
    explain = loaded.signatures.get(features.ACTIVATION_SIGNATURE)
    shown = {image_id: jpeg for image_id in files if (jpeg := jpegs[image_id]) is not None}
    if explain is None or not shown:
        return {}
    found = explain(**{features.IMAGE: tf.constant([files[image_id] for image_id in shown])})
    activations, regions = found[features.ACTIVATION].numpy(), found[features.REGION].numpy()
    return {
        image_id: overlay(jpeg, activation, region)
        for (image_id, jpeg), activation, region in zip(
            shown.items(), activations, regions, strict=True
        )
    }


def overlay(jpeg: str, activation: np.ndarray, region: np.ndarray) -> str:
    """Lays a heat map over a thumbnail; what the model did not see is darkened.

    Args:
        jpeg: the thumbnail, in base64.
        activation: float32 [height, width] in [0, 1], at any resolution.
        region: float32 [4], top, left, bottom and right of what it is over, as shares of the
            image's height and width; it may reach beyond the image.

    Returns:
        A JPEG in base64, as large as the thumbnail.
    """
    with Image.open(io.BytesIO(base64.b64decode(jpeg))) as image:
        picture = np.asarray(image.convert("RGB")) / 255
    height, width = picture.shape[:2]
    top, left, bottom, right = region * [height, width, height, width]
    across, down = activation.shape[1] / (right - left), activation.shape[0] / (bottom - top)
    # Only what is over the picture is made: of a very long image the rest may be millions of rows.
    heat = Image.fromarray(activation).transform(
        (width, height),
        Image.Transform.AFFINE,
        (across, 0, -left * across, 0, down, -top * down),
        Image.Resampling.BILINEAR,
    )
    rows, columns = np.ogrid[0.5:height, 0.5:width]
    seen = (top <= rows) & (rows <= bottom) & (left <= columns) & (columns <= right)
    grey = np.repeat(picture.mean(axis=-1, keepdims=True), 3, axis=-1)
    strength = np.asarray(heat)
    alpha = 0.25 + 0.5 * strength[..., np.newaxis]
    mixed = (1 - alpha) * grey + alpha * _COLORS(strength)[..., :3]
    mixed = np.where(seen[..., np.newaxis], mixed, 0.3 * grey)
    return thumbnail((mixed * 255).round().astype(np.uint8))
