"""One task of a run, as KFP's launcher starts it."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pipeline.kfp.parameters import given_values

_MODULE = "pipeline.kfp.entrypoint"
# An output of the launcher's own, which no executor knows.
LOGS = "executor-logs"


@dataclass(frozen=True)
class Task:
    """One task as its command line tells it.

    Attributes:
        node: id of the node in the pipeline.
        executor: dotted path of the executor's class.
        given: KFP's ExecutorInput as JSON.
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
        """Reads the command line that a compiled package has."""
        parser = argparse.ArgumentParser(prog=f"python -m {_MODULE}", allow_abbrev=False)
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

    def command(self, given: Mapping[str, Any]) -> list[str]:
        """Returns the command of this task for another ExecutorInput."""
        told = {
            "node_id": self.node,
            "executor_class_path": self.executor,
            "json_serialized_invocation_args": json.dumps(given),
            "types": json.dumps(self.types),
        }
        words = [word for name, value in told.items() for word in (f"--{name}", value)]
        return ["python", "-m", _MODULE, *words, *self.beam_arguments]

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters, with whole numbers as such."""
        integers = self.types["integers"]
        values = given_values(self.given)
        return {key: int(value) if key in integers else value for key, value in values.items()}

    def described(self, side: str) -> dict[str, Mapping[str, Any]]:
        """Returns what the backend says of each of the `inputs` or `outputs`."""
        found = self.given.get(side, {}).get("artifacts", {})
        return {key: listed["artifacts"][0] for key, listed in found.items() if key != LOGS}

    def with_parameters(self, told: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Returns the ExecutorOutput, with what the backend wants as parameters of its own.

        Args:
            told: properties of the output artifacts by key; each such parameter is one of them.
        """
        listed = {key: {"artifacts": [{"metadata": found}]} for key, found in told.items()}
        everything = {name: value for found in told.values() for name, value in found.items()}
        wanted = self.given["outputs"].get("parameters", {})
        values = {name: str(everything[name]) for name in wanted}
        if "parameters" in self.given.get("inputs", {}):
            typed = {name: {"stringValue": value} for name, value in values.items()}
            return {"artifacts": listed, "parameters": typed}
        return {"artifacts": listed, "parameterValues": values}

    @property
    def output_file(self) -> Path:
        """Where the launcher looks for what became of the outputs."""
        # On Vertex AI it is an address.
        return Path(self.given["outputs"]["outputFile"].replace("gs://", "/gcs/"))
