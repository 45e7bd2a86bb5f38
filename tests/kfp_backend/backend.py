"""Runs packages: walks the DAG as Argo Workflows does what argocompiler/dag.go writes."""

import datetime
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from tests.kfp_backend import driver
from tests.kfp_backend.launcher import Launcher, LauncherError
from tests.kfp_backend.metadata import FAILED, SKIPPED, SUCCEEDED, MetadataStore, Task
from tests.kfp_backend.objects import ObjectStore
from tests.kfp_backend.package import Package, is_exit_task, run_parameters
from tests.kfp_backend.processes import Processes, image_environment


@dataclass(frozen=True)
class Run:
    """What became of one run."""

    info: driver.RunInfo
    root: Task

    @property
    def state(self) -> str:
        return self.root.state

    @property
    def tasks(self) -> dict[str, Task]:
        """Every container's task by name, of nested DAGs, too."""
        return {task.name: task for task in _leaves(self.root)}


def _leaves(task: Task) -> list[Task]:
    if task.dag is None:
        return [task]
    return [leaf for child in task.children.values() for leaf in _leaves(child)]


@dataclass
class Backend:
    """A cluster with its object store and its metadata, which outlive a run.

    Attributes:
        folder: where all of it lies.
        processes: starts the commands.
        secrets: of the namespace: name -> key -> value.
        environment: variables that each pod has beside those of the image and the package.
        root: the default pipeline root.
    """

    folder: Path
    processes: Processes
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    root: str = "minio://mlpipeline/v2/artifacts"
    metadata: MetadataStore = field(default_factory=MetadataStore)

    @property
    def store(self) -> ObjectStore:
        """Where artifacts and logs are."""
        return ObjectStore(self.folder / "objects")

    def run(self, package: Package, parameters: Mapping[str, Any] | None = None) -> Run:
        """Runs a package to its end.

        Args:
            package: of `read_package`.
            parameters: of the run, by name; the others have their defaults.

        Raises:
            PackageError: if the parameters don't fit.
        """
        values = run_parameters(package, parameters or {})
        run_id = str(uuid.uuid4())
        info = driver.RunInfo(
            id=run_id,
            name=f"{package.name}-{run_id[:5]}",
            display_name=f"{package.name} {run_id[:5]}",
            created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            root=f"{self.root}/{package.name}/{run_id}",
        )
        root = Task("root", dag=package.spec.root.dag)
        for key, value in values.items():
            root.inputs.parameter_values[key].CopyFrom(value)
        _Walk(self, package, info).dag(root)
        return Run(info, root)

    def logs(self, run: Run, task: str) -> str:
        """Returns what the last attempt of a task printed."""
        stored = run.tasks[task].log
        return "" if stored is None else self.store.path(stored).read_text(errors="replace")


@dataclass(frozen=True)
class _Walk:
    """One run of one package."""

    backend: Backend
    package: Package
    info: driver.RunInfo

    def dag(self, dag: Task) -> None:
        """Runs a DAG's tasks, each when all that it depends on have succeeded.

        Branches that don't depend on a failed task go on. The DAG has failed if one of its tasks
        has; skipped and omitted ones, and what an exit hook comes to, don't count.
        """
        assert dag.dag is not None
        specs = dag.dag.tasks
        waiting = sorted(name for name, spec in specs.items() if not is_exit_task(spec))
        while waiting:
            name = next(n for n in waiting if not set(specs[n].dependent_tasks) & set(waiting))
            waiting.remove(name)
            task = dag.children[name] = Task(name)
            before = [dag.children[dependency] for dependency in specs[name].dependent_tasks]
            if any(other.state != SUCCEEDED for other in before):
                task.reason = "depends condition not met"
                continue
            self._task(dag, task, specs[name])
            if task.state != SKIPPED:
                self._exit_hooks(dag, name)
        hooks = {name for name, spec in specs.items() if is_exit_task(spec)}
        states = {task.state for name, task in dag.children.items() if name not in hooks}
        dag.state = FAILED if FAILED in states else SUCCEEDED

    def _exit_hooks(self, dag: Task, ended: str) -> None:
        assert dag.dag is not None
        for name, spec in dag.dag.tasks.items():
            if is_exit_task(spec) and ended in spec.dependent_tasks:
                task = dag.children[name] = Task(name)
                self._task(dag, task, spec)

    def _task(self, dag: Task, task: Task, spec: spec_pb2.PipelineTaskSpec) -> None:
        component = self.package.component(spec)
        try:
            task.inputs = driver.resolve_inputs(self.info, dag, task.name, spec, component)
            if not driver.will_trigger(spec, task.inputs):
                task.state, task.reason = SKIPPED, f"condition {spec.trigger_policy.condition}"
                return
            if component.WhichOneof("implementation") == "dag":
                task.dag = component.dag
                self.dag(task)
                return
            self._container(task, spec, component)
        except (driver.DriverError, LauncherError) as error:
            task.state, task.reason = FAILED, str(error)

    def _container(
        self, task: Task, spec: spec_pb2.PipelineTaskSpec, component: spec_pb2.ComponentSpec
    ) -> None:
        """Answers a task from the cache, or runs it (v2/driver/container.go)."""
        container = self.package.container(component)
        given = spec_pb2.ExecutorInput(
            inputs=task.inputs,
            outputs=driver.provision_outputs(self.info, task.name, component),
        )
        key = None
        if spec.caching_options.enable_cache:
            volumes = [
                _name(mount.constant, mount.pvc_name_parameter)
                for mount in self.package.placement(component).pvc_mount
            ]
            found = driver.fingerprint(spec, component, container, given, volumes)
            key = (self.package.name, found)
            if before := self.backend.metadata.cache.get(key):
                task.state, task.cached = SUCCEEDED, True
                task.parameters, task.artifacts = before.parameters, before.artifacts
                return
        values = task.inputs.parameter_values
        command = driver.resolve_command([*container.command, *container.args], values)
        self._attempts(task, spec, component, given, command)
        if key is not None and task.state == SUCCEEDED:
            self.backend.metadata.cache[key] = task

    def _attempts(
        self,
        task: Task,
        spec: spec_pb2.PipelineTaskSpec,
        component: spec_pb2.ComponentSpec,
        given: spec_pb2.ExecutorInput,
        command: list[str],
    ) -> None:
        """Runs a task until it succeeds or its retries are used up; waits for none of them."""
        environment = self._environment(component)
        placement = self.package.placement(component)
        for attempt in range(1 + spec.retry_policy.max_retry_count):
            pod = self.backend.folder / "pods" / f"{self.info.id}-{task.name}-{attempt}"
            pod.mkdir(parents=True)
            launcher = Launcher(
                pod=pod,
                store=self.backend.store,
                root=self.info.root,
                processes=self.backend.processes,
                environment=environment,
                timeout=placement.active_deadline_seconds or None,
            )
            task.log = f"{given.outputs.artifacts[driver.LOGS].artifacts[0].uri}-{attempt}"
            try:
                status, seconds, outputs = launcher.launch(given, component, command, attempt)
                task.exit_codes.append(status)
                task.seconds.append(seconds)
                task.reason = f"exit status {status}"
            except LauncherError as error:
                outputs, task.reason = None, str(error)
            finally:
                shutil.rmtree(pod)
            task.state = FAILED if outputs is None else SUCCEEDED
            if outputs is not None:
                publish = self.backend.metadata.publish
                task.reason = ""
                task.parameters = outputs.parameters
                task.artifacts = {k: publish(k, a) for k, a in outputs.artifacts.items()}
                return

    def _environment(self, component: spec_pb2.ComponentSpec) -> dict[str, str]:
        """Returns the variables of a pod (driver.go, k8s.go).

        Raises:
            DriverError: if a secret is not there.
        """
        found = {**image_environment(), **self.backend.environment}
        found |= {env.name: env.value for env in self.package.container(component).env}
        for secret in self.package.placement(component).secret_as_env:
            name = _name(secret.secret_name, secret.secret_name_parameter)
            values = self.backend.secrets.get(name, {})
            for pair in secret.key_to_env:
                if pair.secret_key in values:
                    found[pair.env_var] = values[pair.secret_key]
                elif not secret.optional:
                    raise driver.DriverError(f"no key '{pair.secret_key}' in secret '{name}'")
        return found


def _name(plain: str, parameter: spec_pb2.TaskInputsSpec.InputParameterSpec) -> str:
    """Returns the name of a volume or secret, which is a constant in one of two places."""
    return str(plain or parameter.runtime_value.constant.string_value)
