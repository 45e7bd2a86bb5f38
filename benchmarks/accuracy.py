"""Test accuracy after each stage of training, over several splits or seeds.

    .venv/bin/python benchmarks/accuracy.py --data elpv --runs 5
    .venv/bin/python benchmarks/accuracy.py --data FOLDER --runs 5    # official splits, 5 seeds

ELPV is split anew for each run, stratified 75/25, a tenth of the former as val; a folder with
train, validation and test keeps its splits and changes the seed. Prints one line of JSON a run,
then means with their spread. No node of the pipeline but the trainer is at work here.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.model_selection import train_test_split

from components import features
from pipeline import demo
from pipeline.options import effective_config
from trainer.activation_cache import FrozenPart, compute_activations
from trainer.activation_source import ActivationSource
from trainer.config import CacheConfig, TrainConfig
from trainer.devices import Replicas
from trainer.finetune import finetune
from trainer.input_pipeline import ExampleIndex, index_examples
from trainer.model import Classifier
from trainer.preprocessing import decode_and_resize
from trainer.results import Reporter
from trainer.training import build_classifier

_BATCH = 32
_FOLDERS = {"train": "train", "validation": "val", "val": "val", "test": "test"}


@dataclass(frozen=True)
class Images:
    """Labelled image files, and rows by split where the data has splits of its own."""

    contents: list[bytes]
    labels: np.ndarray
    splits: dict[str, np.ndarray]


def main() -> None:
    """Trains and judges as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="elpv", help="elpv, or a folder with official splits")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    is_elpv = arguments.data == "elpv"
    config = effective_config(demo.CONFIG if is_elpv else None, arguments.sets)
    size = config.transform.image_size or 224
    images = read_elpv() if is_elpv else read_folder(Path(arguments.data))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(arguments.first, arguments.first + arguments.runs):
            splits = images.splits or stratified(images.labels, number)
            folder = Path(scratch) / (str(number) if is_elpv else "data")
            index = transformed(images, splits, folder, size)
            train = config.trainer.model_copy(update={"seed": number})
            rows.append({"run": number, **run(index, train, size)})
            print(json.dumps(rows[-1]), flush=True)
    report(rows)


def read_elpv() -> Images:
    """Reads the demo's images: class 1 where the probability of a defect is 0.5 or more."""
    from elpv_dataset.utils import load_dataset

    pixels, probabilities, _ = load_dataset()
    contents = [tf.io.encode_png(image[..., np.newaxis]).numpy() for image in pixels]
    return Images(contents, (probabilities >= 0.5).astype(int), {})


def read_folder(root: Path) -> Images:
    """Reads class folders under official splits."""
    files = [
        (split, file)
        for folder, split in _FOLDERS.items()
        for file in sorted((root / folder).rglob("*.*"))
    ]
    classes = sorted({file.parent.name for _, file in files})
    labels = np.array([classes.index(file.parent.name) for _, file in files])
    of_split = np.array([split for split, _ in files])
    rows = {split: np.flatnonzero(of_split == split) for split in features.SPLITS}
    return Images([file.read_bytes() for _, file in files], labels, rows)


def stratified(labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Deals rows to the splits, each class in the same shares."""
    rest, test = train_test_split(
        np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=seed
    )
    train, val = train_test_split(rest, test_size=0.1, stratify=labels[rest], random_state=seed)
    return {"train": train, "val": val, "test": test}


def transformed(
    images: Images, splits: dict[str, np.ndarray], folder: Path, size: int
) -> dict[str, ExampleIndex]:
    """Writes transformed examples as Transform does, once a folder, and indexes them."""
    for split, rows in splits.items():
        file = folder / split / "examples"
        if not file.exists():
            file.parent.mkdir(parents=True)
            with tf.io.TFRecordWriter(str(file)) as writer:
                for example in _examples(images, rows, size):
                    writer.write(example)
    return {split: index_examples([str(folder / split / "*")], split) for split in splits}


def _examples(images: Images, rows: np.ndarray, size: int) -> Iterator[bytes]:
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        contents = tf.constant([images.contents[row] for row in batch])
        for row, pixels in zip(batch, decode_and_resize(contents, size, "squash"), strict=True):
            label = tf.train.Int64List(value=[images.labels[row]])
            values = {
                features.PIXELS: _bytes(pixels.numpy().tobytes()),
                features.ID: _bytes(f"{row:06}".encode()),
                features.LABEL_ID: tf.train.Feature(int64_list=label),
            }
            example = tf.train.Example(features=tf.train.Features(feature=values))
            yield example.SerializeToString()


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def run(index: dict[str, ExampleIndex], config: TrainConfig, size: int) -> dict[str, Any]:
    """Trains once; returns accuracy on val and test after each stage, and seconds."""
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()  # as in production, which it slows
    labels = [str(label) for label in np.unique(index["train"].labels)]
    clock = Clock()
    classifier = build_classifier(labels, config, size)
    source = ActivationSource(classifier, index["train"], index["val"], len(labels), config)
    replicas = Replicas(tf.distribute.get_strategy())
    stages = []
    for result in finetune(classifier, source, config, replicas, Reporter()):
        with clock.stopped():
            stages.append(
                {
                    "train": result.stage.train,
                    "val": accuracy(classifier, index["val"]),
                    "test": accuracy(classifier, index["test"]),
                    "cache_seconds": round(result.cache_seconds, 1),
                    "best_epoch": result.best_epoch + 1,
                    **clock.read(),
                }
            )
    return {"stages": stages}


class Clock:
    """Wall time and the processor's time of this process, but for when it is stopped."""

    def __init__(self) -> None:
        """Starts it."""
        self._started = self._now()

    def read(self) -> dict[str, float]:
        """Returns the seconds since the start."""
        wall, cpu = self._now() - self._started
        return {"seconds": round(wall, 1), "cpu_seconds": round(cpu, 1)}

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """What runs inside does not count."""
        stopped = self._now()
        # What has gone by until then still does.
        yield
        self._started += self._now() - stopped

    def _now(self) -> np.ndarray:
        return np.array([time.monotonic(), time.process_time()])


def accuracy(classifier: Classifier, index: ExampleIndex) -> float:
    """Share of a split that the whole network gets right."""
    exact = CacheConfig(dtype="float32")
    classes = classifier.network.output.shape[-1]
    logits = compute_activations(index, classes, FrozenPart(classifier.network), exact, _BATCH)
    found = logits.read(np.arange(len(index)), 0).inputs.argmax(axis=1)
    return round(float((found == index.labels).mean()), 4)


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Prints means, with the spread between runs and the interval of the mean."""
    for number, stage in enumerate(rows[0]["stages"]):
        for split in ("val", "test"):
            values = [row["stages"][number][split] for row in rows]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            print(
                f"after stage {number} ({stage['train']}), {split}: mean "
                f"{statistics.mean(values):.4f}, standard deviation between runs {spread:.4f}, "
                f"from {min(values):.4f} to {max(values):.4f}"
            )
    seconds = [row["stages"][-1]["seconds"] for row in rows]
    print(f"seconds a run: {statistics.mean(seconds):.0f}")


if __name__ == "__main__":
    main()
