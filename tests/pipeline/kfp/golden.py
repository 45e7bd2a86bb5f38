"""Writes the golden packages anew, after a change that is meant:

.venv/bin/python -m tests.pipeline.kfp.golden
"""

import re
from pathlib import Path

from pipeline.config import PipelineConfig
from pipeline.kfp.compile import kfp_package, vertex_package

FOLDER = Path(__file__).parents[2] / "golden"
CONFIG = PipelineConfig.parse(
    {
        "kubeflow": {
            "image": "registry/effnet:1",
            "pipeline_root": "gs://bucket/artifacts",
            "data": "/mnt/data/{DATE}",
            "output": "/mnt/output",
        }
    }
)
PACKAGES = {"kfp.yaml": kfp_package, "vertex.json": vertex_package}


def normalised(package: str) -> str:
    """Takes the versions of TFX and Python out."""
    package = re.sub(r'tfx-[\d.]+|"[\d]+-[\d-]+"', "VERSION", package)
    return re.sub(r"[ \t]+$", "", package, flags=re.MULTILINE)


def main() -> None:
    for name, compiled in PACKAGES.items():
        (FOLDER / name).write_text(normalised(compiled(CONFIG)), encoding="utf-8")


if __name__ == "__main__":
    main()
