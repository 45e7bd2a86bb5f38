"""Executors in a process of their own, which does not import all of TFX's components."""

import os
import subprocess
import sys
from pathlib import Path

from tests.kfp_backend.package import read_package

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
from pipeline.kfp.entrypoint import load, make_light

make_light("tfx.components")
for executor in sys.argv[1:]:
    load(executor)
import tensorflow_model_analysis

assert tensorflow_model_analysis.EvalConfig  # where TFX's Evaluator looks for it
assert "tfx.components.bulk_inferrer" not in sys.modules
"""


def test_executors_need_no_more_of_tfx_than_themselves() -> None:
    package = read_package(ROOT / "tests" / "golden" / "kfp.yaml")
    option = "--executor_class_path"
    arguments = [list(executor.container.args) for executor in package.executors.values()]
    paths = [given[given.index(option) + 1] for given in arguments if option in given]
    assert "components.evaluator.executor.Executor" in paths
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", SCRIPT, *paths]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
