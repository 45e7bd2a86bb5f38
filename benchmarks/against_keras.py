"""`effnet run` beside the hand-written script: wall time, peak memory, test accuracy.

    .venv/bin/python benchmarks/against_keras.py --data elpv

Both do the same job on the same files: decode, the same stages and epochs, evaluate on the test
images. One after the other in one run, so that the ratios hold whatever the machine.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from components.image_example_gen.config import SplitsConfig
from components.image_example_gen.splits import assign_split
from pipeline import demo
from pipeline.layout import Output
from pipeline.options import effective_config

HERE = Path(__file__).parent
OFFICIAL = {"train": "train", "val": "val", "validation": "val", "test": "test"}
# The recipe of Keras's examples, in epochs that leave the hand-written script time to end.
STAGES = (
    "trainer.stages=[{train: head, epochs: 8, learning_rate: 1.0e-3, weight_decay: 1.0e-2},"
    " {train: top_blocks, blocks: 5, epochs: 4, learning_rate: 3.0e-4}]"
)


def main() -> None:
    """Runs both and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="elpv", help="elpv, or a folder with official splits")
    parser.add_argument("--set", dest="sets", action="append", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    sets = ["gate.rules=[{metric: accuracy, min: 0}]", *(arguments.sets or [STAGES])]
    config = effective_config(None, sets)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        if arguments.data == "elpv":
            write_elpv(Path(scratch) / "elpv", data)
        else:
            write_official(Path(arguments.data), data)
        by_hand = [sys.executable, str(HERE / "handwritten.py"), "--data", str(data)]
        by_hand += ["--config", config.trainer.model_dump_json()]
        pipeline = [sys.executable, "-m", "pipeline.cli", "run", "--json", "--data", str(data)]
        pipeline += ["--output", f"{scratch}/output", *(f"--set={value}" for value in sets)]
        report(measure(by_hand), measure(pipeline))


def write_elpv(scratch: Path, target: Path) -> None:
    """Writes the demo's images as split folders, by the splits that the demo gets."""
    output = Output.at(scratch)
    output.root.mkdir()
    demo.prepare(output)
    manifest = next(demo.dataset(output).glob("*.csv"))
    with open(manifest, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            image = demo.dataset(output) / row["image"]
            content = hashlib.sha256(image.read_bytes()).hexdigest()
            folder = target / assign_split(content, SplitsConfig()) / row["label"]
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(image, folder)


def write_official(source: Path, target: Path) -> None:
    """Copies a folder with official splits under the names that both sides know."""
    for folder in source.iterdir():
        if folder.name in OFFICIAL:
            shutil.copytree(folder, target / OFFICIAL[folder.name])


def measure(command: list[str]) -> dict[str, Any]:
    """Runs a command; returns seconds, peak memory of its largest process in MB, accuracy."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"failed: {' '.join(command[:4])}\n{printed[-2000:]}")
    # The pipeline prints one object, the script its object on the last line.
    facts = json.loads(printed if printed.startswith("{") else printed.splitlines()[-1])
    return {
        "seconds": seconds,
        "peak memory, MB": usage.ru_maxrss / 1024,
        "test accuracy": facts.get("metrics", facts)["accuracy"],
        "by node": facts.get("seconds", {}),
    }


def report(by_hand: dict[str, Any], pipeline: dict[str, Any]) -> None:
    """Prints both and their ratios."""
    print(f"{'':20}{'by hand':>12}{'effnet run':>12}{'ratio':>8}")
    for name in ("seconds", "peak memory, MB", "test accuracy"):
        left, right = by_hand[name], pipeline[name]
        print(f"{name:20}{left:12.4g}{right:12.4g}{right / left:8.2f}")
    print("seconds by node:", json.dumps(pipeline["by node"]))


if __name__ == "__main__":
    main()
