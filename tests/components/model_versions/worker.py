"""Pushes, goes back and forth and releases, for ever; killed by the test that started it.

Each model is as its number says, so that any half of one is told from a whole.
"""

import itertools
import random
import sys
from pathlib import Path

from components.model_versions import (
    VersionError,
    promote,
    publish,
    release,
    remove_old,
    roll_back,
    withdraw,
)


def write_model(folder: Path, number: int) -> Path:
    (folder / "variables").mkdir(parents=True, exist_ok=True)
    for name in ("saved_model.pb", "variables/variables.data", "variables/variables.index"):
        (folder / name).write_bytes(f"{name} {number}\n".encode() * 5000)
    return folder


def main(model_dir: Path, seed: int) -> None:
    choice = random.Random(seed)
    candidate = model_dir.parent / "candidate"
    for number in itertools.count():
        for step in (
            lambda: roll_back(model_dir),
            lambda: promote(model_dir, choice.randint(1, 9)),
            lambda: release(model_dir),
            lambda number=number: _publish(candidate, model_dir, 1000 * seed + number),
            lambda: remove_old(model_dir, 4),
        ):
            try:
                step()
            except VersionError:
                continue
            print("step", flush=True)


def _publish(candidate: Path, model_dir: Path, number: int) -> None:
    """Pushes, every third time in vain."""
    version, _ = publish(
        write_model(candidate, number), model_dir, schema=None, facts={"run_id": str(number)}
    )
    if number % 3 == 1:
        withdraw(model_dir, version.number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
