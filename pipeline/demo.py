"""The demo's data: solar cells from a production line, out of the PyPI package elpv-dataset."""

import csv
import importlib.util
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from components.errors import DataError
from pipeline.layout import Output

OUTPUT = "effnet-demo"
CONFIG = Path(str(resources.files("pipeline") / "configs" / "demo.yaml"))
LICENCE = (
    "The demo's images are the ELPV dataset (Buerhop-Lutz et al. 2018, Deitsch et al. 2019, 2021), "
    "licensed CC BY-NC-SA 4.0: share alike, with attribution, and not for commercial use."
)
_PACKAGE = "elpv_dataset"
_DEFECTIVE_FROM = 0.5  # probability of a defect, as experts gave it: 0, 1/3, 2/3 or 1


def dataset(output: Output) -> Path:
    """Names the folder of the demo's data."""
    return output.data / "elpv"


def prepare(output: Output) -> None:
    """Writes images and manifest into the output folder, in one step; its lock is held.

    Raises:
        DataError: if the package isn't installed.
    """
    source = _package_data()
    output.scratch.mkdir(exist_ok=True)
    output.data.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.scratch) as scratch:
        target = Path(scratch) / "elpv"
        # Copied rather than linked: the data outlives the environment that brought it.
        shutil.copytree(source / "images", target / "images")
        _write_manifest(source / "labels.csv", target / "manifest.csv")
        target.rename(dataset(output))


def _package_data() -> Path:
    """Finds the package's files without importing it, which would import numpy and Pillow."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            "the demo's data, the PyPI package elpv-dataset, is not installed; install it with "
            "pip install 'effnet-tfx[demo]' or pip install elpv-dataset"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _write_manifest(labels: Path, manifest: Path) -> None:
    """Turns lines of path, probability and cell type into a CSV with a class name."""
    with (
        open(labels, encoding="utf-8") as source,
        open(manifest, "w", encoding="utf-8", newline="") as target,
    ):
        writer = csv.writer(target)
        writer.writerow(["image", "label", "cell_type"])
        for line in source:
            image, probability, cell_type = line.split()
            defective = float(probability) >= _DEFECTIVE_FROM
            writer.writerow([image, "defective" if defective else "functional", cell_type])
