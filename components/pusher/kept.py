"""What is kept with a version beside its schema and its card: what it has learnt from.

The gate and the check whether a training pays hold the data of later runs against it.
"""

from pathlib import Path

import numpy as np
from tfx import types
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import features, learnt_images
from components.model_versions import read_training
from components.retrain_check.statistics import FILE as STATISTICS_FILE
from components.retrain_check.statistics import train_statistics

INGESTION = "ingestion"
STATISTICS = "statistics"
BASELINE = "baseline"

Inputs = dict[str, list[types.Artifact]]


def kept_files(inputs: Inputs, model: Path) -> dict[str, bytes]:
    """Returns the files by name.

    Args:
        inputs: the Pusher's.
        model: the SavedModel that is pushed.
    """
    kept = train_statistics(artifact_utils.get_single_instance(inputs[STATISTICS]))
    files = {STATISTICS_FILE: kept.SerializeToString(deterministic=True)}
    images = _learnt(inputs, model)
    return (
        files if images is None else {**files, learnt_images.FILE: learnt_images.to_bytes(images)}
    )


def _learnt(inputs: Inputs, model: Path) -> np.ndarray | None:
    """Returns the table of images; None where the model that this one began from has none."""
    images = learnt_images.read(Path(artifact_utils.get_single_uri(inputs[INGESTION])))
    if images is None or read_training(model).get("weights") != "serving":
        return images
    baseline = path_utils.serving_model_path(artifact_utils.get_single_uri(inputs[BASELINE]))
    base = learnt_images.read(Path(baseline) / features.EXTRA)
    return None if base is None else learnt_images.begun_from(images, base)
