"""What has to be changed in the package that TFX compiles, so that a backend takes it.

Everything here works on the PipelineSpec as plain JSON. In brackets stand the files of KFP's
backend (release 2.17) that show the need.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts
from tfx.utils import name_utils

from components.retrain_check.decision import CODE, RETRAIN_PROPERTY
from pipeline.kfp.parameters import (
    ARTIFACTS,
    PREFIX,
    RUN_CONSTANTS,
    TRAINED_BY,
    WORKERS,
    RunParameter,
)
from pipeline.kubeflow_config import EXIT_TASK, TRAINER

Spec = dict[str, Any]

# As TFX and KFP's SDK call the part of a pipeline that its exit task waits for.
INNER = "tfx-dag"
CHECK = "RetrainCheck"
_TITLES = {
    standard_artifacts.Model: "system.Model",
    standard_artifacts.PushedModel: "system.Model",
    standard_artifacts.Examples: "system.Dataset",
    simple_artifacts.Metrics: "system.Metrics",
}
_INVOCATION = ["--json_serialized_invocation_args", "{{$}}"]


@dataclass(frozen=True)
class Dialect:
    """How parameters are written: by schema 2.1.0, or as Vertex AI has them in 2.0.0."""

    legacy: bool

    def value(self, value: str | float) -> Any:
        """A value alone."""
        if not self.legacy:
            return value
        return {"stringValue" if isinstance(value, str) else "doubleValue": value}

    def constant(self, value: str | float) -> Spec:
        """A task's parameter that the package fixes."""
        return {"runtimeValue": {"constantValue" if self.legacy else "constant": self.value(value)}}

    def equals(self, name: str, value: str) -> str:
        """A condition, in CEL."""
        if self.legacy:
            return f"inputs.parameters['{name}'].string_value == '{value}'"
        return f"inputs.parameter_values['{name}'] == '{value}'"

    def declaration(self, value: str | float) -> Spec:
        """The type of a parameter, by one of its values."""
        text = isinstance(value, str)
        if self.legacy:
            return {"type": "STRING" if text else "DOUBLE"}
        return {"parameterType": "STRING" if text else "NUMBER_DOUBLE"}


def use_known_types(spec: Spec, pipeline: Pipeline) -> None:
    """Puts types that every backend knows in place of TFX's, which go to the entrypoint.

    KFP gives input artifacts an empty type [driver/resolve.go, metadata/client.go], and from its
    release 3 on it knows none but `system.*`.
    """
    for node in pipeline.components:
        component = spec["components"][node.id]
        sides = {"inputs": node.inputs, "outputs": node.outputs}
        types: dict[str, Any] = {
            side: {key: channel.type for key, channel in channels.items()}
            for side, channels in sides.items()
        }
        for side, found in types.items():
            declared = component.get(f"{side[:-1]}Definitions", {}).get("artifacts", {})
            for key, artifact in declared.items():
                title = _TITLES.get(found[key], "system.Artifact")
                artifact["artifactType"] = {"schemaTitle": title, "schemaVersion": "0.0.1"}
        told = {
            side: {key: name_utils.get_full_name(kind) for key, kind in found.items()}
            for side, found in types.items()
        }
        told["integers"] = _integers(component)
        container = _container(spec, node.id)
        container["args"] = _arguments(node.id, container["args"], told)


def _integers(component: Spec) -> Any:
    """JSON has one kind of number, and a backend hands on what was 10 as 10.0."""
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    return sorted(
        name
        for name, parameter in declared.items()
        if "NUMBER_INTEGER" in parameter.values() or "INT" in parameter.values()
    )


def _arguments(node: str, given: list[str], types: Mapping[str, Any]) -> list[str]:
    """Replaces the declaration of inputs, which TFX's own entrypoint takes the types from."""
    start = given.index(_INVOCATION[0])
    rest = given[start + 2 :]
    if rest[:1] == ["--json_serialized_inputs_spec_args"]:
        rest = rest[2:]
    told = ["--node_id", node, "--types", json.dumps(types, sort_keys=True)]
    return [*given[: start + 2], *told, *rest]


def switch_caching_off(spec: Spec) -> None:
    """Leaves the backend's cache out of it.

    What ImageExampleGen and ServingBaseline read is outside of what the backend knows, and it runs
    no drivers, so their answers would be old ones. They must run, and each time they do, their
    artifacts have other ids, which are part of the key of every task below
    [cacheutils/cache.go, metadata/converter.go]: it would never be met. And a task that doesn't
    run leaves no facts for the summary.
    """
    for task in spec["root"]["dag"]["tasks"].values():
        task.pop("cachingOptions", None)


def drop_digests(spec: Spec, dialect: Dialect) -> None:
    """Empties digests of code and files, which are those of the machine that compiles.

    They are for TFX's cache; what training needs of them is found in the task.
    """
    for task in spec["root"]["dag"]["tasks"].values():
        for name, parameter in task.get("inputs", {}).get("parameters", {}).items():
            if name.endswith("_digest"):
                parameter.update(dialect.constant(""))
            elif name in ("custom_config", TRAINED_BY):
                told = json.loads(_text(parameter))
                _empty_digests(told)
                parameter.update(dialect.constant(json.dumps(told, sort_keys=True)))


def _empty_digests(told: Any) -> None:
    for key, value in told.items() if isinstance(told, dict) else ():
        if key.endswith("_digest") or key == CODE:
            told[key] = ""
        _empty_digests(value)


def _text(parameter: Spec) -> str:
    value = parameter["runtimeValue"]
    return value["constant"] if "constant" in value else value["constantValue"]["stringValue"]


def end_early(spec: Spec, dialect: Dialect) -> None:
    """Runs nothing behind RetrainCheck, if it is there and says so.

    What depends on a task that was passed over is passed over itself, and the run has succeeded
    [argocompiler/dag.go, `depends`].
    """
    tasks = spec["root"]["dag"]["tasks"]
    if CHECK not in tasks:
        return
    definitions = spec["components"][CHECK]["outputDefinitions"]
    definitions["parameters"] = {RETRAIN_PROPERTY: dialect.declaration("1")}
    output = {"producerTask": CHECK, "outputParameterKey": RETRAIN_PROPERTY}
    source = {"taskOutputParameter": output}
    condition = dialect.equals(PREFIX + RETRAIN_PROPERTY, "1")
    for node, task in tasks.items():
        if CHECK in task.get("dependentTasks", ()):
            _give(spec, dialect, (node, task), RETRAIN_PROPERTY, "1", source)
            task["triggerPolicy"] = {"condition": condition}


def put_before_exit(spec: Spec) -> None:
    """Moves all tasks into a DAG within the pipeline.

    A task that is to run whatever happened waits for one task or DAG only: it becomes the exit
    hook of that [argocompiler/dag.go].
    """
    spec["components"][INNER] = {"dag": {"tasks": spec["root"]["dag"]["tasks"]}}
    inner = {"componentRef": {"name": INNER}, "taskInfo": {"name": INNER}}
    spec["root"]["dag"]["tasks"] = {INNER: inner}


def add_exit(spec: Spec, image: str, command: list[str]) -> None:
    """Adds the task that tells what became of the run."""
    label = f"{EXIT_TASK}_executor"
    container = {"image": image, "command": command, "args": list(_INVOCATION)}
    spec["deploymentSpec"]["executors"][label] = {"container": container}
    spec["components"][EXIT_TASK] = {"executorLabel": label}
    spec["root"]["dag"]["tasks"][EXIT_TASK] = {
        "componentRef": {"name": EXIT_TASK},
        "taskInfo": {"name": EXIT_TASK},
        "dependentTasks": [INNER],
        "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    }


def every_task(spec: Spec) -> dict[str, Spec]:
    """Returns the tasks of all nodes, and the exit task, by their names."""
    exit_task = spec["root"]["dag"]["tasks"][EXIT_TASK]
    return {**spec["components"][INNER]["dag"]["tasks"], EXIT_TASK: exit_task}


def add_parameters(
    spec: Spec, dialect: Dialect, parameters: Iterable[RunParameter], output: str, config: str
) -> None:
    """Tells each task its run, and lets a run set parameters.

    TFX drops defaults, and declares parameters for the pipeline only, while a DAG within it sees
    no more than it is given [driver/resolve.go].

    Args:
        spec: with the exit task.
        dialect: of its parameters.
        parameters: what a run can set.
        output: the output folder.
        config: the compiled configuration as JSON, for the exit task.
    """
    inner, tasks = spec["components"][INNER], every_task(spec)
    for node, task in tasks.items():
        for name, value in {**RUN_CONSTANTS, "output": output}.items():
            _give(spec, dialect, (node, task), name, value, dialect.constant(value))
    _give(spec, dialect, (EXIT_TASK, tasks[EXIT_TASK]), "config", config, dialect.constant(config))
    for parameter in parameters:
        name, default = parameter.name, parameter.default
        declared = dialect.declaration(default)
        optional = {"defaultValue": dialect.value(default), "isOptional": True}
        _declare(spec["root"], name, declared if dialect.legacy else {**declared, **optional})
        _declare(inner, name, declared)
        source = {"componentInputParameter": name}
        _inputs(spec["root"]["dag"]["tasks"][INNER])[name] = source
        for node in (*parameter.nodes, EXIT_TASK):
            _give(spec, dialect, (node, tasks[node]), name, default, source)


def add_workers(spec: Spec, dialect: Dialect, config: str) -> None:
    """Tells the Trainer's task to have several pods train, by the configuration as JSON."""
    task = spec["components"][INNER]["dag"]["tasks"][TRAINER]
    _give(spec, dialect, (TRAINER, task), WORKERS, config, dialect.constant(config))


def add_handover(spec: Spec, dialect: Dialect, where: Mapping[str, str]) -> None:
    """Tells data nodes where their artifacts are for other machines, by node."""
    for node, place in where.items():
        task = spec["components"][INNER]["dag"]["tasks"][node]
        _give(spec, dialect, (node, task), ARTIFACTS, place, dialect.constant(place))


def _give(
    spec: Spec, dialect: Dialect, task: tuple[str, Spec], name: str, example: Any, source: Spec
) -> None:
    component = spec["components"][task[0]]
    _declare(component, PREFIX + name, dialect.declaration(example))
    _inputs(task[1])[PREFIX + name] = source


def _declare(component: Spec, name: str, declared: Spec) -> None:
    definitions = component.setdefault("inputDefinitions", {})
    definitions.setdefault("parameters", {})[name] = declared


def _inputs(task: Spec) -> Spec:
    return task.setdefault("inputs", {}).setdefault("parameters", {})


def _container(spec: Spec, node: str) -> Spec:
    label = spec["components"][node]["executorLabel"]
    return spec["deploymentSpec"]["executors"][label]["container"]
