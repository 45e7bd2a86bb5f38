"""What runs in each task's container, between KFP's launcher and a TFX executor.

TFX has an entrypoint of its own, for Vertex AI: it wants the types of artifacts from the backend,
knows no addresses but those that TensorFlow reads, and imports every component there is.
"""

import argparse
import importlib
import importlib.util
import inspect
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

from pipeline.kfp import parameters

# Of the pods that KFP starts; the launcher's own, which no executor knows.
_LAUNCHERS_OUTPUTS = frozenset({"executor-logs"})


@dataclass(frozen=True)
class Task:
    """One task as its command line tells it.

    Attributes:
        node: id of the node in the pipeline.
        executor: dotted path of the executor's class.
        given: KFP's ExecutorInput.
        types: dotted paths of TFX's artifact types by `inputs` and `outputs`, then by key, and
            `integers`: the parameters that are whole numbers.
        beam_arguments: what is left of the command line.
    """

    node: str
    executor: str
    given: Mapping[str, Any]
    types: Mapping[str, Any]
    beam_arguments: list[str]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Self:
        """Reads the command line that the compiled package has."""
        parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
        parser.add_argument("--node_id", required=True)
        parser.add_argument("--executor_class_path", required=True)
        parser.add_argument("--json_serialized_invocation_args", required=True, type=json.loads)
        parser.add_argument("--types", required=True, type=json.loads)
        known, rest = parser.parse_known_args(arguments)
        return cls(
            known.node_id,
            known.executor_class_path,
            known.json_serialized_invocation_args,
            known.types,
            rest,
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters; JSON has no integers of its own."""
        values = parameters.given_values(self.given)
        integers = self.types["integers"]
        return {key: int(value) if key in integers else value for key, value in values.items()}

    def described(self, side: str) -> dict[str, dict[str, Any]]:
        """Returns what the backend says of each input or output artifact."""
        found = self.given.get(side, {}).get("artifacts", {})
        return {
            key: artifacts["artifacts"][0]
            for key, artifacts in found.items()
            if key not in _LAUNCHERS_OUTPUTS
        }

    @property
    def output_file(self) -> Path:
        """Where the launcher looks for what became of the outputs."""
        # Imported late: TFX must not be imported before its packages are made light.
        from pipeline.kfp.artifacts import local_path

        return Path(local_path(self.given["outputs"]["outputFile"]))


class Terminated(SystemExit):
    """The pod is to end; raised so that what a task started is put away."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one task; its log ends with the reason if it fails."""
    signal.signal(signal.SIGTERM, _terminate)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    task = Task.of(sys.argv[1:] if arguments is None else arguments)
    sys.argv[1:] = []  # which KServe parses when it is imported
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["EFFNET_RUN_DIR"] = scratch
        try:
            run(task)
        except Exception as error:
            sys.exit(_report(error))


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(128 + number)


def _report(error: Exception) -> int:
    """Prints what went wrong, at last in one paragraph; returns the exit status."""
    from pipeline.failures import failed_outcome

    traceback.print_exc()
    failure = failed_outcome(error).error
    assert failure is not None
    sys.stdout.flush()
    print(f"\nerror: {failure.message}", file=sys.stderr, flush=True)
    return failure.exit_status


def run(task: Task) -> dict[str, list[Any]]:
    """Runs a task's executor and leaves its outputs' properties for the launcher.

    Returns:
        The output artifacts by key.

    Raises:
        InputError: a run's parameter, or the data, can't be used.
    """
    properties = parameters.executor_properties(task.parameters)
    make_light("tfx.components")
    from pipeline.kfp.artifacts import properties as properties_of

    inputs, outputs = _artifacts(task, "inputs"), _artifacts(task, "outputs")
    _executor(task).Do(inputs, outputs, properties)
    # Without their addresses: those that the backend has are right, and the folders are not.
    told = {
        key: {"artifacts": [{"metadata": properties_of(artifact)} for artifact in artifacts]}
        for key, artifacts in outputs.items()
    }
    task.output_file.parent.mkdir(parents=True, exist_ok=True)
    task.output_file.write_text(json.dumps({"artifacts": told}), encoding="utf-8")
    return outputs


def _artifacts(task: Task, side: str) -> dict[str, list[Any]]:
    from pipeline.kfp.artifacts import read_artifact

    types = task.types[side]
    return {
        key: [read_artifact(described, _load(types[key]))]
        for key, described in task.described(side).items()
    }


def _executor(task: Task) -> Any:
    executor_class = _load(task.executor)
    scratch = str(task.output_file.parent / ".temp")
    context: dict[str, Any] = {"unique_id": task.output_file.parent.name, "tmp_dir": scratch}
    if "beam_pipeline_args" in inspect.signature(executor_class.Context).parameters:
        context["beam_pipeline_args"] = task.beam_arguments
    return executor_class(executor_class.Context(**context))


def _load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def make_light(package: str) -> None:
    """Has a package's modules imported without its `__init__`, which imports them all.

    TFX's packages of components do, and so every process would, for a minute.
    """
    if package in sys.modules:
        return
    parent, _, name = package.rpartition(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    setattr(importlib.import_module(parent), name, module)


if __name__ == "__main__":
    main()
