"""A tiny dataset that went through TensorFlow Transform."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from components import features
from trainer.config import AugmentationConfig, StageConfig, TrainConfig, TransformConfig
from trainer.preprocessing import preprocessing_fn

IMAGE_SIZE = 32
CLASSES = ("blue", "green", "red")


def make_pixels(label: str, seed: int, height: int = 40, width: int = 52) -> np.ndarray:
    """Noise with one channel brighter."""
    pixels = np.random.default_rng(seed).integers(0, 128, (height, width, 3))
    pixels[..., ("red", "green", "blue").index(label)] += 100
    return pixels.astype(np.uint8)


def raw_examples(count: int, seed: int) -> list[dict[str, bytes]]:
    """Raw features of PNG files, the classes taking turns."""
    labels = [CLASSES[number % len(CLASSES)] for number in range(count)]
    return [
        {
            features.IMAGE: tf.io.encode_png(make_pixels(label, seed + number)).numpy(),
            features.LABEL: label.encode(),
            features.ID: f"{label}/{seed + number}.png".encode(),
        }
        for number, label in enumerate(labels)
    ]


@dataclass(frozen=True)
class Transformed:
    """What Transform hands on: a graph, and shards by split."""

    graph: Path
    train: Path
    val: Path
    config: TransformConfig

    def fn_args(self, folder: Path, config: TrainConfig) -> SimpleNamespace:
        """TFX's FnArgs, as far as the trainer reads them."""
        return SimpleNamespace(
            transform_graph_path=str(self.graph),
            train_files=[str(self.train / "*")],
            eval_files=[str(self.val / "*")],
            serving_model_dir=str(folder / "model" / "Format-Serving"),
            model_run_dir=str(folder / "run"),
            base_model=None,
            custom_config={
                "checkpoints": str(folder / "checkpoints"),
                "code_digest": "",
                "weights_digest": "",
                "train_config": config.model_dump_json(),
                "transform_config": self.config.model_dump_json(),
            },
        )


def transform_images(folder: Path) -> Transformed:
    """Writes the dataset to a folder."""
    config = TransformConfig(image_size=IMAGE_SIZE)
    settings = {"transform_config": config.model_dump_json(), "image_size": IMAGE_SIZE}
    metadata = dataset_metadata.DatasetMetadata(
        schema_utils.schema_from_feature_spec(
            {
                name: tf.io.FixedLenFeature([], tf.string)
                for name in (features.IMAGE, features.LABEL, features.ID)
            }
        )
    )
    train, val = raw_examples(24, seed=0), raw_examples(6, seed=100)
    with tft_beam.Context(temp_dir=str(folder / "temporary"), desired_batch_size=8):
        transform_fn = (train, metadata) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, settings)
        )
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
        for split, examples in (("train", train), ("val", val)):
            rows, out = ((examples, metadata), transform_fn) | tft_beam.TransformDataset()
            _write(rows, out, folder / split)
    return Transformed(folder / "graph", folder / "train", folder / "val", config)


def _write(rows: list, metadata: dataset_metadata.DatasetMetadata, folder: Path) -> None:
    folder.mkdir()
    coder = tft.coders.ExampleProtoCoder(metadata.schema)
    with tf.io.TFRecordWriter(str(folder / "part-0")) as writer:
        for row in rows:
            writer.write(coder.encode(row))


def tiny_training() -> TrainConfig:
    """A head stage and a top-blocks stage on a random backbone."""
    return TrainConfig(
        weights="none",
        batch_size=8,
        augmentation=AugmentationConfig(views=2),
        stages=(
            StageConfig(train="head", epochs=2, learning_rate=1e-2),
            StageConfig(train="top_blocks", blocks=1, epochs=1, learning_rate=1e-3),
        ),
    )
