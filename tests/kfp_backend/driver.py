"""Builds a task's ExecutorInput and command as the backend's driver does.

From v2/driver/resolve.go (inputs), driver.go (provisionOutputs, initPodSpecPatch), util.go
(placeholders in commands), container.go (conditions), v2/expression/expression.go (CEL), and
v2/cacheutils/cache.go with v2/driver/cache.go (fingerprints).
"""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cel_expr_python import cel
from google.protobuf import descriptor_pool, json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from tests.kfp_backend.metadata import Task
from tests.kfp_backend.objects import local_path
from tests.kfp_backend.values import KINDS, TYPES, as_text, to_json

LOGS = "executor-logs"
_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\['(.+?)']}}")
_Value = struct_pb2.Value
_Component = spec_pb2.ComponentSpec
_TaskSpec = spec_pb2.PipelineTaskSpec


class DriverError(Exception):
    """The driver's pod would fail, and with it the task."""


@dataclass(frozen=True)
class RunInfo:
    """What the placeholders of a run stand for."""

    id: str
    name: str  # of the Workflow object
    display_name: str
    created: str  # as Argo writes workflow.creationTimestamp
    root: str  # address below which this run's artifacts go

    def constant(self, value: _Value, task_name: str) -> _Value:
        """Replaces a constant that is a placeholder and nothing else (resolveInputParameter)."""
        known = {
            "{{$.pipeline_job_name}}": self.display_name,
            "{{$.pipeline_job_resource_name}}": self.name,
            "{{$.pipeline_job_uuid}}": self.id,
            "{{$.pipeline_task_name}}": task_name,
            "{{$.pipeline_job_create_time_utc}}": self.created,
            "{{$.pipeline_job_schedule_time_utc}}": "",
        }
        replaced = known.get(value.string_value)
        return value if replaced is None else _Value(string_value=replaced)


def resolve_inputs(
    run: RunInfo, dag: Task, name: str, task: _TaskSpec, component: _Component
) -> spec_pb2.ExecutorInput.Inputs:
    """Finds what a task gets.

    Args:
        run: the run.
        dag: the DAG that the task stands in, with what has run of it.
        name: of the task.
        task: its spec.
        component: what it runs.

    Raises:
        DriverError: if a value is missing or of another type than the component declares.
    """
    inputs = spec_pb2.ExecutorInput.Inputs()
    declared = component.input_definitions.parameters
    if component.WhichOneof("implementation") == "dag":
        for key, parameter in declared.items():
            if key not in task.inputs.parameters and parameter.is_optional:
                inputs.parameter_values[key].CopyFrom(_default(parameter))
    for key, spec in task.inputs.parameters.items():
        value = _parameter(run, dag, name, task, spec)
        if value is None:  # null: an optional parameter of the pipeline that nobody set
            if key in declared and declared[key].is_optional:
                continue
            raise DriverError(f"the resolved input parameter is null: {key}")
        if selector := spec.parameter_expression_selector:
            raise NotImplementedError(f"parameter expression selector {selector}")
        inputs.parameter_values[key].CopyFrom(value)
    for key, spec in task.inputs.artifacts.items():
        inputs.artifacts[key].CopyFrom(_artifacts(dag, key, spec))
    for key, parameter in declared.items():
        _check_type(inputs, key, parameter)
    return inputs


def _default(parameter: spec_pb2.ComponentInputsSpec.ParameterSpec) -> _Value:
    if parameter.HasField("default_value"):
        return parameter.default_value
    return _Value(null_value=struct_pb2.NULL_VALUE)


def _parameter(
    run: RunInfo,
    dag: Task,
    name: str,
    task: _TaskSpec,
    spec: spec_pb2.TaskInputsSpec.InputParameterSpec,
) -> _Value | None:
    kind = spec.WhichOneof("kind")
    if kind == "component_input_parameter":
        key = spec.component_input_parameter
        if key not in dag.inputs.parameter_values:
            raise DriverError(f"parent DAG does not have input parameter {key}")
        value = dag.inputs.parameter_values[key]
        return None if value.WhichOneof("kind") == "null_value" else value
    if kind == "task_output_parameter":
        output = spec.task_output_parameter
        value = dag.children[output.producer_task].output_parameter(output.output_parameter_key)
        return _Value() if value is None else value
    if kind == "runtime_value" and spec.runtime_value.WhichOneof("value") == "constant":
        return run.constant(spec.runtime_value.constant, name)
    if kind == "task_final_status":
        producer = dag.children[task.dependent_tasks[0]]
        state = "COMPLETE" if producer.state == "Succeeded" else "FAILED"
        status = {
            "state": state,
            "pipelineJobResourceName": run.name,
            "pipelineTaskName": producer.name,
            "error": {},
        }
        return json_format.ParseDict(status, _Value())
    raise DriverError(f"parameter spec of type {kind} not implemented yet")


def _artifacts(
    dag: Task, key: str, spec: spec_pb2.TaskInputsSpec.InputArtifactSpec
) -> spec_pb2.ArtifactList:
    if spec.WhichOneof("kind") == "component_input_artifact":
        if spec.component_input_artifact not in dag.inputs.artifacts:
            raise DriverError(f"parent DAG does not have input artifact {key}")
        return dag.inputs.artifacts[spec.component_input_artifact]
    output = spec.task_output_artifact
    artifact = dag.children[output.producer_task].output_artifact(output.output_artifact_key)
    if artifact is None:
        raise DriverError(f"cannot find output artifact of {output.producer_task} for {key}")
    return spec_pb2.ArtifactList(artifacts=[artifact.as_input()])


def _check_type(
    inputs: spec_pb2.ExecutorInput.Inputs,
    key: str,
    parameter: spec_pb2.ComponentInputsSpec.ParameterSpec,
) -> None:
    """Turns anything into text where text is declared, and refuses what else does not fit."""
    if key not in inputs.parameter_values:
        if not parameter.is_optional and not parameter.HasField("default_value"):
            raise DriverError(f"neither value nor default value for non-optional parameter {key}")
        return
    value = inputs.parameter_values[key]
    kind = value.WhichOneof("kind")
    if kind == "null_value":
        return
    if parameter.parameter_type == TYPES.STRING:
        value.string_value = as_text(value)
    elif kind != KINDS.get(parameter.parameter_type):
        wanted = TYPES.ParameterTypeEnum.Name(parameter.parameter_type)
        raise DriverError(f"input parameter {key} type mismatch: expect {wanted}, got {kind}")


def will_trigger(task: _TaskSpec, inputs: spec_pb2.ExecutorInput.Inputs) -> bool:
    """Evaluates a task's condition in CEL over its inputs.

    Raises:
        DriverError: if it can't be evaluated, or is no truth value.
    """
    condition = task.trigger_policy.condition
    if not condition:
        return True
    of = {key: f"ml_pipelines.ExecutorInput.{key.capitalize()}" for key in ("inputs", "outputs")}
    try:
        environment = cel.NewEnv(
            descriptor_pool.Default(), variables={key: cel.Type(name) for key, name in of.items()}
        )
        data = {"inputs": inputs, "outputs": spec_pb2.ExecutorInput.Outputs()}
        result = environment.compile(condition).eval(data=data)
    except RuntimeError as error:
        raise DriverError(str(error)) from error
    if result.type() != cel.Type.BOOL:
        raise DriverError(f"condition {condition}: {result.value()}")
    return bool(result.value())


def provision_outputs(
    run: RunInfo, name: str, component: _Component
) -> spec_pb2.ExecutorInput.Outputs:
    """Names the addresses of a task's outputs, with that of its log."""
    task_root = f"{run.root}/{name}/{uuid.uuid4()}"
    logs = spec_pb2.ComponentOutputsSpec.ArtifactSpec()
    logs.artifact_type.schema_title = "system.Artifact"
    outputs = spec_pb2.ExecutorInput.Outputs()
    for key, spec in {**component.output_definitions.artifacts, LOGS: logs}.items():
        artifact = spec_pb2.RuntimeArtifact(name=key, uri=f"{task_root}/{key}")
        artifact.type.CopyFrom(spec.artifact_type)
        if spec.HasField("metadata"):
            artifact.metadata.CopyFrom(spec.metadata)
        outputs.artifacts[key].artifacts.append(artifact)
    for key in component.output_definitions.parameters:
        outputs.parameters[key].output_file = f"/tmp/kfp/outputs/{key}"
    outputs.output_file = f"{local_path(task_root)}/output_metadata.json"
    return outputs


def resolve_command(words: Sequence[str], values: Mapping[str, struct_pb2.Value]) -> list[str]:
    """Puts input parameters into a command (resolveContainerArgs).

    Raises:
        DriverError: for a parameter that the task does not get.
    """

    def replaced(word: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] not in values:
                raise DriverError(f"parameter '{match[1]}' not found in executor input")
            return as_text(values[match[1]])

        return _PLACEHOLDER.sub(value, word)

    resolved: list[str] = []
    for word in words:
        if "$.outputs" in word:
            resolved.append(word)
        elif word.strip().startswith('{"IfPresent":'):
            clause = json.loads(word)["IfPresent"]
            found = clause["InputName"] in values
            chosen = clause.get("Then" if found else "Else") or []
            resolved += [
                replaced(part) for part in ([chosen] if isinstance(chosen, str) else chosen)
            ]
        else:
            resolved.append(replaced(word))
    return resolved


def fingerprint(
    task: _TaskSpec,
    component: _Component,
    container: spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec,
    executor_input: spec_pb2.ExecutorInput,
    volumes: Sequence[str],
) -> str:
    """Returns the cache's key: what the task gets and runs, but neither when nor where.

    Input artifacts count by their numbers, not by what is in them.
    """
    if key := task.caching_options.cache_key:
        return hashlib.sha256(f"{task.component_ref.name}\0{key}".encode()).hexdigest()
    given = to_json(executor_input)
    outputs = given["outputs"].get("artifacts", {})
    parts = {
        "inputArtifactNames": {
            name: [artifact["name"] for artifact in listed["artifacts"]]
            for name, listed in given.get("inputs", {}).get("artifacts", {}).items()
        },
        "inputParameterValues": given.get("inputs", {}).get("parameterValues", {}),
        "outputArtifactsSpec": {
            name: {k: v for k, v in listed["artifacts"][0].items() if k != "uri"}
            for name, listed in outputs.items()
        },
        "outputParametersSpec": {
            name: spec.parameter_type
            for name, spec in component.output_definitions.parameters.items()
        },
        "containerSpec": {
            "image": container.image,
            "cmdArgs": [*container.command, *container.args],
            "pvcNames": sorted(set(volumes)),
        },
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
