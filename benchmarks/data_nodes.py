"""Ingestion and Transform beside a plain tf.data decode and resize of the same files.

    .venv/bin/python benchmarks/data_nodes.py --data FOLDER

Prints images a second and their ratio, and the bytes that an image takes in what Transform
writes. Starting a node counts, importing TensorFlow does not, on either side.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tensorflow as tf

from components.image_example_gen.layouts import list_items
from pipeline.config import PipelineConfig
from trainer.config import resolve_image_size
from trainer.preprocessing import decode_and_resize

# As little training as there can be: the data's nodes are what is measured.
SETS = (
    "gate.rules=[{metric: accuracy, min: 0}]",
    "trainer.stages=[{train: head, epochs: 1, learning_rate: 0.001}]",
    "trainer.augmentation.views=1",
)


def main() -> None:
    """Measures plain tf.data, the pipeline, and plain tf.data again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    data = parser.parse_args().data
    config = PipelineConfig()
    size = resolve_image_size(config.transform, config.trainer)
    paths = [item.path for item in list_items(data, config.data).items]
    first = plain(paths, size)
    with tempfile.TemporaryDirectory() as output:
        summary = run(data, output)
        written, images = transformed(Path(output))
    again = plain(paths, size)
    reference = max(first, again)
    rates = {
        "plain tf.data": first,
        "plain tf.data again": again,
        "ImageExampleGen": len(paths) / summary["seconds"]["ImageExampleGen"],
        "Transform": images / summary["seconds"]["Transform"],
    }
    print(f"{len(paths)} images to {size} pixels: images a second, and ratio to plain tf.data")
    for name, rate in rates.items():
        print(f"{name:20}{rate:8.0f}{rate / reference:8.2f}")
    print(f"Transform wrote {written / images:,.0f} bytes an image of {size * size * 3:,} pixels")


def plain(paths: list[str], size: int) -> float:
    """Returns the images a second of what one writes by hand: read, decode, resize, batch."""
    files = tf.data.Dataset.from_tensor_slices(paths)
    contents = files.map(tf.io.read_file, num_parallel_calls=tf.data.AUTOTUNE)
    batches = contents.batch(32).map(lambda batch: decode_and_resize(batch, size, "squash"))
    started = time.monotonic()
    for _ in batches.prefetch(tf.data.AUTOTUNE):
        pass
    return len(paths) / (time.monotonic() - started)


def run(data: str, output: str) -> dict:
    """Runs the pipeline and returns its summary."""
    command = [sys.executable, "-m", "pipeline.cli", "run", "--json", "--data", data]
    command += ["--output", output, *(f"--set={value}" for value in SETS)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def transformed(output: Path) -> tuple[int, int]:
    """Returns the bytes and the number of the examples that Transform wrote."""
    shards = list(output.glob("artifacts/Transform/transformed_examples/*/Split-*/*"))
    records = tf.data.TFRecordDataset([str(shard) for shard in shards])
    return sum(shard.stat().st_size for shard in shards), sum(1 for _ in records)


if __name__ == "__main__":
    main()
