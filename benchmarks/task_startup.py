"""A task on Kubeflow from its command to its end, by our entrypoint and by TFX's own.

    .venv/bin/python benchmarks/task_startup.py [--rounds N]

The task is a Pusher of a model that was not blessed, so that nearly all of it is start-up. TFX's
entrypoint gets what it needs: types of the artifacts, local addresses, and no logs. The rounds
alternate; prints the median seconds of each, the ratio, and how many modules each imported.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXECUTOR = "components.pusher.executor.Executor"
TYPES = {
    "model": "Model",
    "model_blessing": "ModelBlessing",
    "infra_blessing": "InfraBlessing",
    "schema": "Schema",
    "baseline": "Model",
    "evaluation": "ModelEvaluation",
    "statistics": "ExampleStatistics",
    "ingestion": "Schema",  # of which a refused push reads nothing
}
RUN = {"effnet_uuid": "1", "effnet_created": "2026-01-01T00:00:00Z"}
# Runs a module as `python -m` does, and tells at last how much it has imported.
COUNTED = """
import atexit, runpy, sys
module, report = sys.argv[1:3]
sys.argv[1:] = sys.argv[3:]
heavy = "google.cloud.aiplatform"
atexit.register(lambda: print(len(sys.modules), heavy in sys.modules, file=open(report, "w")))
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def main() -> None:
    """Measures both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {"ours": [], "TFX's": []}
    imported = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds):
            for name, command in (("ours", ours), ("TFX's", by_tfx)):
                folder = Path(scratch) / f"{name[0]}{number}"
                folder.mkdir()
                taken, imported[name] = timed(command(folder), folder)
                seconds[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    print(f"a Pusher's task, median of {rounds}: seconds, and ratio to TFX's entrypoint")
    for name, median in medians.items():
        modules, aiplatform = imported[name].split()
        ratio = median / medians["TFX's"]
        print(
            f"{name:8}{median:7.1f}{ratio:7.2f}   {modules} modules, "
            f"google-cloud-aiplatform {'imported' if aiplatform == 'True' else 'not imported'}"
        )


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """Returns the seconds that a command takes, and what it imported."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    report = folder / "imported"
    words = [sys.executable, "-c", COUNTED, command[0], str(report), *command[1:]]
    started = time.perf_counter()
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr)
    return taken, report.read_text()


def ours(folder: Path) -> list[str]:
    """The command of the compiled package."""
    types = {key: f"tfx.types.standard_artifacts.{name}" for key, name in TYPES.items()}
    pushed = {"pushed_model": "tfx.types.standard_artifacts.PushedModel"}
    told = {"inputs": types, "outputs": pushed, "integers": []}
    parameters = {**RUN, "effnet_output": str(folder / "output")}
    given = invocation(folder, {}, parameters)
    return ["pipeline.kfp.entrypoint", "--node_id=Pusher", f"--types={json.dumps(told)}", *given]


def by_tfx(folder: Path) -> list[str]:
    """What TFX's runner would have put into the package."""
    schemas = {key: {"instanceSchema": f"title: tfx.{name}"} for key, name in TYPES.items()}
    schemas["pushed_model"] = {"instanceSchema": "title: tfx.PushedModel"}
    module = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
    return [module, *invocation(folder, schemas, {}), "--json_serialized_inputs_spec_args={}"]


def invocation(folder: Path, schemas: dict, parameters: dict[str, str]) -> list[str]:
    """Returns what both entrypoints are told in the same words."""

    def described(key: str, **metadata: float) -> dict:
        told = {"name": key, "uri": str(folder / key), "metadata": metadata}
        if key in schemas:
            told["type"] = schemas[key]
        return {"artifacts": [told]}

    inputs = {key: described(key) for key in TYPES}
    inputs["model_blessing"] = described("model_blessing", blessed=0)
    given = {
        "inputs": {"parameterValues": parameters, "artifacts": inputs},
        "outputs": {
            "artifacts": {"pushed_model": described("pushed_model")},
            "outputFile": str(folder / "task" / "output_metadata.json"),
        },
    }
    return [
        f"--executor_class_path={EXECUTOR}",
        f"--json_serialized_invocation_args={json.dumps(given)}",
    ]


if __name__ == "__main__":
    main()
