"""Our trainer beside the hand-written recipe: seconds to its best test accuracy, or better.

    .venv/bin/python benchmarks/against_recipe.py --data elpv --results FILE
    .venv/bin/python benchmarks/against_recipe.py --data FOLDER --results FILE

The recipe is that of Keras's example of fine-tuning EfficientNet: augmentation in the model, 8
epochs of the head on the frozen backbone, 4 of its last 20 layers at a tenth of the rate. It gets
what we have: the same images, decoded and in memory, at the same size, the same head, weight
decay and smoothing, and the rate of three that does best on val. The trainer's time has its cache
in it. Images are read alike, by one process, so what differs is the training alone.

Seconds of the processor are given, too: they hold beside other load, which wall time does not.
Each training is a line of the results' file; those that stand there are not repeated. Whether the
recipe's best is reached is judged on the test images, at the ends of stages.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import accuracy
import handwritten
import keras
import numpy as np
import tensorflow as tf

from pipeline.options import effective_config
from trainer.activation_cache import one_hot
from trainer.config import StageConfig, TrainConfig
from trainer.input_pipeline import ExampleIndex, read_pixels

SEEDS = (0, 1, 2)
RATES = (1e-2, 3e-3, 1e-3)
LAYERS, SIZE = 20, 224
# At 224 pixels, the backbone's own, on both sides.
SETS = [f"transform.image_size={SIZE}"]

Index = dict[str, ExampleIndex]


def main() -> None:
    """Trains what the results' file lacks, and prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="elpv", help="elpv, or a folder with official splits")
    parser.add_argument("--results", type=Path, required=True, help="lines of JSON; added to")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    is_elpv = arguments.data == "elpv"
    config = effective_config(None, [*SETS, *arguments.sets]).trainer
    images = accuracy.read_elpv() if is_elpv else accuracy.read_folder(Path(arguments.data))
    results = Results(arguments.results, arguments.data)
    with tempfile.TemporaryDirectory() as scratch:

        def index(seed: int) -> Index:
            splits = images.splits or accuracy.stratified(images.labels, seed)
            folder = Path(scratch) / (str(seed) if is_elpv else "data")
            return accuracy.transformed(images, splits, folder, SIZE)

        compare(index, config, results)


class Results:
    """The trainings of one data set, as lines of a file."""

    def __init__(self, file: Path, data: str) -> None:
        """Reads what is there."""
        self._file, self.data = file, data
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self._rows = [json.loads(line) for line in lines]

    def get(self, work: Callable[[], list[dict[str, Any]]], **of: Any) -> list[dict[str, Any]]:
        """Returns the stages of a training, which is run if it is not there."""
        key = {"data": self.data, **of}
        for row in self._rows:
            if row["of"] == key:
                return row["stages"]
        row = {"of": key, "stages": work()}
        self._rows.append(row)
        with open(self._file, "a", encoding="utf-8") as file:
            print(json.dumps(row), file=file)
        return row["stages"]


def compare(index: Callable[[int], Index], config: TrainConfig, results: Results) -> None:
    """Runs both sides with all seeds; the rate of the recipe is chosen with the first one."""
    settings = json.loads(config.model_dump_json())
    # The recipe augments anew in every epoch; a cell has no up and down.
    augmentation = config.augmentation.model_copy(
        update={"views": None, "vertical_flip": results.data == "elpv"}
    )
    by_recipe = config.model_copy(update={"augmentation": augmentation})
    shared = {key: settings[key] for key in ("batch_size", "dropout")}
    shared["augmentation"] = json.loads(augmentation.model_dump_json())

    def recipe(seed: int, rate: float) -> list[dict[str, Any]]:
        work = lambda: by_hand(index(seed), by_recipe, seed, rate)  # noqa: E731
        return results.get(work, by="recipe", seed=seed, rate=rate, settings=shared)

    rate = max(RATES, key=lambda rate: recipe(SEEDS[0], rate)[-1]["val"])
    print(f"the recipe's best rate on val, of {RATES}: {rate}")
    hand = [recipe(seed, rate) for seed in SEEDS]

    def trainer(seed: int) -> list[dict[str, Any]]:
        train = config.model_copy(update={"seed": seed})
        work = lambda: accuracy.run(index(seed), train, SIZE)["stages"]  # noqa: E731
        return results.get(work, by="trainer", seed=seed, settings=settings)

    report(hand, [trainer(seed) for seed in SEEDS])


def by_hand(index: Index, config: TrainConfig, seed: int, rate: float) -> list[dict[str, Any]]:
    """Trains by the recipe once; returns accuracies and time after each stage."""
    keras.utils.set_random_seed(seed)
    classes = len(np.unique(index["train"].labels))
    train, val, test = (in_memory(index[name], classes) for name in ("train", "val", "test"))
    clock = accuracy.Clock()
    backbone, model = handwritten.build(classes, config)
    batches = train.shuffle(len(index["train"]), seed=seed).batch(config.batch_size)
    val, test = (data.batch(config.batch_size).prefetch(2) for data in (val, test))
    common = {"weight_decay": 1e-2, "label_smoothing": 0.1}
    layers = len(backbone.layers)
    stages = []
    for stage, first in (
        (StageConfig(train="head", epochs=8, learning_rate=rate, **common), layers),
        (StageConfig(train="all", epochs=4, learning_rate=rate / 10, **common), layers - LAYERS),
    ):
        handwritten.unfreeze(backbone, first)
        handwritten.fit(model, batches.prefetch(2), val, stage)
        with clock.stopped():
            found = {
                name: model.evaluate(data, verbose=0)[1]
                for name, data in (("val", val), ("test", test))
            }
            stages.append({**found, **clock.read()})
    return stages


def in_memory(index: ExampleIndex, classes: int) -> tf.data.Dataset:
    """Returns a split's images and one-hot labels, one by one."""
    pixels = np.concatenate(list(read_pixels(index, 256).as_numpy_iterator()))
    return tf.data.Dataset.from_tensor_slices((pixels, one_hot(index.labels[index.rows], classes)))


def report(hand: Sequence[list[dict[str, Any]]], ours: Sequence[list[dict[str, Any]]]) -> None:
    """Prints means and spreads after each stage, and how much less time ours took."""
    for number, name in enumerate(("head", "blocks")):
        print(f"after the {name}:")
        means: dict[str, list[float]] = {}
        for side, runs in (("recipe", hand), ("trainer", ours)):
            columns = {
                key: [run[number][key] for run in runs]
                for key in ("test", "seconds", "cpu_seconds")
            }
            means[side] = [statistics.mean(values) for values in columns.values()]
            cells = (
                f"{key} {statistics.mean(values):.4g} +- {statistics.stdev(values):.2g}"
                for key, values in columns.items()
            )
            print(f"  {side:8}", "  ".join(cells))
        _, wall, cpu = np.array(means["recipe"]) / np.array(means["trainer"])
        print(f"  times faster: {wall:.1f} by the clock, {cpu:.1f} by the processor")
    for seed, (by_hand, by_us) in enumerate(zip(hand, ours, strict=True)):
        best = max(stage["test"] for stage in by_hand)
        first = [
            next((stage for stage in stages if stage["test"] >= best), None)
            for stages in (by_hand, by_us)
        ]
        if first[1] is None:
            print(f"seed {seed}: the recipe's best, {best:.4f}, is not reached")
            continue
        ratios = (first[0][key] / first[1][key] for key in ("seconds", "cpu_seconds"))
        print(
            f"seed {seed}: the recipe's best, {best:.4f}, is reached "
            "{:.1f} times faster by the clock, {:.1f} by the processor".format(*ratios)
        )


if __name__ == "__main__":
    main()
