"""A compiled package, as far as whoever starts it must understand it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from components.errors import ConfigError
from components.settings import nearest
from pipeline.kfp.parameters import PREFIX
from pipeline.kubeflow_config import EXIT_TASK

SUFFIX = ".yaml"

# The faster one of PyYAML's loaders of plain values, where it was built.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_DOUBLE": (int, float),
    "NUMBER_INTEGER": (int,),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


@dataclass(frozen=True)
class Package:
    """A PipelineSpec, and what it needs of the cluster.

    Attributes:
        spec: the PipelineSpec as JSON values.
        platform: the platform spec; {} without one.
        path: its file; None for one that a cluster told.
    """

    spec: Mapping[str, Any]
    platform: Mapping[str, Any]
    path: Path | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a package's file.

        Raises:
            ConfigError: if it is none.
        """
        problem = f"the package '{path}' can't be used"
        mend = "name a file that `effnet compile --target kfp` wrote"
        if path.suffix != SUFFIX:
            raise ConfigError(f"{problem}: its name does not end in {SUFFIX}; {mend}")
        try:
            documents = list(yaml.load_all(path.read_text(encoding="utf-8"), _Loader))
        except OSError as error:
            raise ConfigError(f"{problem}: {error.strerror}; {mend}") from None
        except (yaml.YAMLError, UnicodeDecodeError):
            raise ConfigError(f"{problem}: it is not valid YAML; {mend}") from None
        if not 1 <= len(documents) <= 2 or not all(isinstance(d, dict) for d in documents):
            raise ConfigError(f"{problem}: it is not one PipelineSpec; {mend}")
        if "pipelineInfo" not in documents[0] or "root" not in documents[0]:
            raise ConfigError(f"{problem}: it is no PipelineSpec of schema 2.1.0; {mend}")
        return cls(documents[0], documents[1] if len(documents) > 1 else {}, path)

    @classmethod
    def told(cls, source: Mapping[str, Any] | None) -> Self | None:
        """Takes what the API tells of a run's pipeline; None where that is somewhere else."""
        if not source:
            return None
        return cls(source.get("pipeline_spec", source), source.get("platform_spec", {}))

    @property
    def name(self) -> str:
        """The pipeline's."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def pipeline_root(self) -> str | None:
        """Where artifacts go; None: where the cluster keeps them by default."""
        return self.spec.get("defaultPipelineRoot")

    @property
    def images(self) -> list[str]:
        """The containers' images, each once."""
        executors = self.spec.get("deploymentSpec", {}).get("executors", {}).values()
        found = {
            executor["container"]["image"] for executor in executors if "container" in executor
        }
        return sorted(found)

    @property
    def defaults(self) -> dict[str, Any]:
        """The values of the parameters that a run can set, by name; None where there is none."""
        return {name: told.get("defaultValue") for name, told in self._parameters.items()}

    @property
    def output(self) -> str:
        """The output folder that its last task writes the summary into; "" if there is none."""
        return self._told_to_exit_task("output")

    @property
    def model(self) -> str | None:
        """The name of the model that it trains; None if it does not tell its configuration."""
        config = self._told_to_exit_task("config")
        return json.loads(config)["serving"]["model_name"] if config else None

    def _told_to_exit_task(self, name: str) -> str:
        task = self.spec["root"].get("dag", {}).get("tasks", {}).get(EXIT_TASK, {})
        told = task.get("inputs", {}).get("parameters", {}).get(f"{PREFIX}{name}", {})
        return str(told.get("runtimeValue", {}).get("constant", ""))

    def arguments(self, texts: Sequence[str]) -> dict[str, Any]:
        """Reads values for parameters of the pipeline.

        Args:
            texts: `name=value`; the value of what is no text in YAML.

        Raises:
            ConfigError: for an unknown name, or a value of another kind.
        """
        return dict(self._argument(text) for text in texts)

    @property
    def _parameters(self) -> Mapping[str, Mapping[str, Any]]:
        return self.spec["root"].get("inputDefinitions", {}).get("parameters", {})

    def _argument(self, text: str) -> tuple[str, Any]:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--param takes name=value, received '{text}'")
        try:
            told = self._parameters[nearest(name, list(self._parameters), "parameter")]
        except ValueError as error:
            raise ConfigError(f"--param: {error}") from None
        kind = str(told.get("parameterType", "STRING"))
        if kind == "STRING":
            return name, value
        # YAML takes 1e-3 for a text.
        convert = {"NUMBER_DOUBLE": float, "NUMBER_INTEGER": int}.get(kind, yaml.safe_load)
        try:
            parsed = convert(value)
        except (ValueError, yaml.YAMLError):
            parsed = None
        wrong = not isinstance(parsed, _KINDS.get(kind, (object,)))
        if wrong or (kind == "NUMBER_DOUBLE" and not math.isfinite(parsed)):
            raise ConfigError(f"--param {name}: expected a {kind}, received '{value}'")
        return name, parsed
