"""The compiled file, read and checked as the API server and the compiler to Argo do it.

From apiserver/template/v2_template.go (documents, schema version, a run's parameters),
v2/compiler/visitor.go (which executors there are, inherited retries), v2/compiler/argocompiler/
dag.go (implicit dependencies, exit tasks) and argo.go (defaults of parameters).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format, struct_pb2
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from tests.kfp_backend.values import KINDS, TYPES

_SCHEMA_VERSION = "2.1.0"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Of Argo's tasks (workflow/validate/validate.go), one of which is the task's own driver.
_TASK_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,120}")
_EXIT = spec_pb2.PipelineTaskSpec.TriggerPolicy.ALL_UPSTREAM_TASKS_COMPLETED


class PackageError(Exception):
    """The backend would refuse the package, or the parameters of a run."""


@dataclass(frozen=True)
class Package:
    """A pipeline that the backend would run."""

    spec: spec_pb2.PipelineSpec
    executors: Mapping[str, spec_pb2.PipelineDeploymentConfig.ExecutorSpec]
    kubernetes: Mapping[str, kubernetes_pb2.KubernetesExecutorConfig]  # by executor label

    @property
    def name(self) -> str:
        return self.spec.pipeline_info.name

    def component(self, task: spec_pb2.PipelineTaskSpec) -> spec_pb2.ComponentSpec:
        return self.spec.components[task.component_ref.name]

    def container(
        self, component: spec_pb2.ComponentSpec
    ) -> spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec:
        return self.executors[component.executor_label].container

    def placement(
        self, component: spec_pb2.ComponentSpec
    ) -> kubernetes_pb2.KubernetesExecutorConfig:
        found = self.kubernetes.get(component.executor_label)
        return found or kubernetes_pb2.KubernetesExecutorConfig()


def read_package(file: Path) -> Package:
    """Reads a compiled file.

    Raises:
        PackageError: if the backend would refuse it, or pass over a part of it without a word.
    """
    spec: spec_pb2.PipelineSpec | None = None
    platform: spec_pb2.PlatformSpec | None = None
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        if document is None:
            continue
        if "pipelineInfo" in document and "root" in document:
            if spec is not None:
                raise PackageError("multiple pipeline specs provided")
            spec = _parsed(document, spec_pb2.PipelineSpec())
        elif "kubernetes" in document.get("platforms", {}):
            if platform is not None:
                raise PackageError("multiple platform specs provided")
            platform = _parsed(document, spec_pb2.PlatformSpec())
        else:
            raise PackageError(f"the backend passes over a document with {sorted(document)}")
    if spec is None:
        raise PackageError("no pipeline spec is provided")
    _check_header(spec)
    deployment = json_format.MessageToDict(spec.deployment_spec)
    # Unknown fields are allowed in this part alone (visitor.go, GetDeploymentConfig).
    executors = _parsed(deployment, spec_pb2.PipelineDeploymentConfig(), unknown=True).executors
    package = Package(spec, executors, _kubernetes(platform, executors))
    _Compiler(package).check("root", spec.root, None)
    return package


def _parsed(document: Mapping[str, Any], message: Any, unknown: bool = False) -> Any:
    try:
        return json_format.ParseDict(document, message, ignore_unknown_fields=unknown)
    except json_format.ParseError as error:
        raise PackageError(f"invalid {message.DESCRIPTOR.name}: {error}") from error


def _check_header(spec: spec_pb2.PipelineSpec) -> None:
    if spec.schema_version != _SCHEMA_VERSION:
        raise PackageError(
            f"KFP only supports schema version {_SCHEMA_VERSION}, but the pipeline spec has "
            f"version {spec.schema_version}"
        )
    if not _NAME.fullmatch(spec.pipeline_info.name):
        raise PackageError(f"invalid pipeline name '{spec.pipeline_info.name}'")


def _kubernetes(
    platform: spec_pb2.PlatformSpec | None, executors: Mapping[str, Any]
) -> dict[str, kubernetes_pb2.KubernetesExecutorConfig]:
    """Reads each executor's placement (argocompiler/spec_patch.go refuses unknown fields)."""
    if platform is None:
        return {}
    configs = platform.platforms["kubernetes"].deployment_spec.executors
    if unused := set(configs) - set(executors):
        raise PackageError(f"the backend passes over the placement of {sorted(unused)}")
    return {
        label: _parsed(json_format.MessageToDict(config), kubernetes_pb2.KubernetesExecutorConfig())
        for label, config in configs.items()
    }


def is_exit_task(task: spec_pb2.PipelineTaskSpec) -> bool:
    """Tells a task that becomes an exit hook of the tasks that it depends on (dag.go)."""
    return bool(task.trigger_policy.strategy == _EXIT)


@dataclass
class _Compiler:
    """What visitor.go and dag.go refuse, and what they add: dependencies and retries."""

    package: Package

    def check(
        self,
        name: str,
        component: spec_pb2.ComponentSpec,
        parent: spec_pb2.PipelineTaskSpec | None,
    ) -> None:
        kind = component.WhichOneof("implementation")
        if kind == "executor_label":
            self._check_executor(name, component.executor_label)
            return
        if kind != "dag":
            raise PackageError(f"component '{name}': unknown implementation")
        tasks = component.dag.tasks
        for task_name in sorted(tasks):
            task = tasks[task_name]
            reference = task.component_ref.name
            if reference not in self.package.spec.components:
                raise PackageError(f"cannot find component ref name='{reference}'")
            if not _TASK_NAME.fullmatch(task_name):
                raise PackageError(f"task '{task_name}': Argo takes no such name")
            if not task.task_info.name:
                raise PackageError(f"task '{task_name}': task spec is required (no taskInfo.name)")
            if task.WhichOneof("iterator"):
                raise NotImplementedError(f"task '{task_name}' is a loop")
            inherits = parent is not None and parent.HasField("retry_policy")
            if inherits and not task.HasField("retry_policy"):
                task.retry_policy.CopyFrom(parent.retry_policy)
            self.check(reference, self.package.component(task), task)
            _add_dependencies(task_name, task, tasks)
        if all(is_exit_task(task) for task in tasks.values()):
            raise PackageError(f"DAG '{name}' must contain one or more non-exit tasks")

    def _check_executor(self, name: str, label: str) -> None:
        if label not in self.package.executors:
            raise PackageError(f"executor '{label}' not found in deployment config")
        kind = self.package.executors[label].WhichOneof("spec")
        if kind == "importer":
            raise NotImplementedError(f"component '{name}' is an importer")
        if kind != "container":
            raise PackageError(
                f"component '{name}': non-container and non-importer executor not implemented"
            )
        if not self.package.executors[label].container.command:
            raise PackageError(f"component '{name}': command and arguments are empty")


def _add_dependencies(
    name: str, task: spec_pb2.PipelineTaskSpec, tasks: Mapping[str, spec_pb2.PipelineTaskSpec]
) -> None:
    """Adds the producers of a task's inputs to those that it depends on."""
    for producer in _producers(task):
        if producer not in tasks:
            raise PackageError(f"task '{name}': unknown producer task '{producer}' in DAG")
        if producer not in task.dependent_tasks:
            task.dependent_tasks.append(producer)
    if missing := set(task.dependent_tasks) - set(tasks):
        raise PackageError(f"task '{name}' depends on {sorted(missing)}, not in its DAG")


def _producers(task: spec_pb2.PipelineTaskSpec) -> Iterator[str]:
    for parameter in task.inputs.parameters.values():
        if parameter.WhichOneof("kind") == "task_output_parameter":
            yield parameter.task_output_parameter.producer_task
    for artifact in task.inputs.artifacts.values():
        if artifact.WhichOneof("kind") == "task_output_artifact":
            yield artifact.task_output_artifact.producer_task


def run_parameters(package: Package, given: Mapping[str, Any]) -> dict[str, struct_pb2.Value]:
    """Checks the parameters of a run and adds the defaults (v2_template.go, argo.go).

    Raises:
        PackageError: for a parameter that is missing, unknown or of another type.
    """
    known = package.spec.root.input_definitions.parameters
    if extra := set(given) - set(known):
        raise PackageError(f"parameter(s) provided are not required by pipeline: {sorted(extra)}")
    values: dict[str, struct_pb2.Value] = {}
    for name, parameter in known.items():
        if name in given:
            values[name] = json_format.ParseDict(given[name], struct_pb2.Value())
            if values[name].WhichOneof("kind") != KINDS.get(parameter.parameter_type):
                wanted = TYPES.ParameterTypeEnum.Name(parameter.parameter_type)
                raise PackageError(f"input parameter {name} requires type {wanted}")
        elif parameter.HasField("default_value"):
            values[name] = parameter.default_value
        elif parameter.is_optional:
            values[name] = struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        else:
            raise PackageError(
                f"parameter {name} is not optional, yet has neither default value nor user "
                "provided value"
            )
    return values
