"""Peak memory of a training when the number of images grows, the cache lying in a file.

    .venv/bin/python benchmarks/training_memory.py

Trains a head over 2 views of 500, 1,000 and 2,000 images of noise, each in a process of its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

COUNTS = (500, 1000, 2000)
SIZE = 224


def main() -> None:
    """Measures all counts, or trains once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help="train once on so many, and print nothing")
    images = parser.parse_args().images
    if images:
        train(images)
        return
    peaks = []
    for count in COUNTS:
        process = subprocess.Popen([sys.executable, __file__, "--images", str(count)])
        _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"the training on {count} images failed")
        peaks.append(usage.ru_maxrss / 1024)
        print(f"{count} images: {peaks[-1]:.0f} MB, ratio {peaks[-1] / peaks[0]:.2f}", flush=True)


def train(images: int) -> None:
    """Trains once, on examples that it writes."""
    import numpy as np
    import tensorflow as tf

    from components import features
    from trainer import training
    from trainer.config import AugmentationConfig, CacheConfig, StageConfig, TrainConfig
    from trainer.input_pipeline import index_examples
    from trainer.task import Data

    def example(number: int, numbers: np.random.Generator) -> bytes:
        pixels = numbers.integers(0, 256, SIZE * SIZE * 3, np.uint8).tobytes()
        feature = {
            features.PIXELS: tf.train.Feature(bytes_list=tf.train.BytesList(value=[pixels])),
            features.ID: tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[f"{number:05}".encode()])
            ),
            features.LABEL_ID: tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2])),
        }
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

    config = TrainConfig(
        augmentation=AugmentationConfig(views=2),
        cache=CacheConfig(memory_mb=0),
        stages=(
            StageConfig(train="head", epochs=2, learning_rate=1e-3),
            StageConfig(train="top_blocks", blocks=2, epochs=1, learning_rate=1e-4),
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        for split, count in ((features.TRAIN, images), (features.VAL, images // 10)):
            with tf.io.TFRecordWriter(str(Path(folder) / split)) as writer:
                numbers = np.random.default_rng(count)
                for number in range(count):
                    writer.write(example(number, numbers))
        train_index, val_index = (
            index_examples([str(Path(folder) / split)], split)
            for split in (features.TRAIN, features.VAL)
        )
        training.train(Data(["a", "b"], train_index, val_index), config)


if __name__ == "__main__":
    main()
