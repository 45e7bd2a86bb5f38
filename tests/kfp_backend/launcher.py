"""Runs one attempt of one task as the backend's launcher does, in a file system of its own.

From v2/component/launcher_v2.go. A pod has /minio, /s3, /gcs and /tmp of its own; here they lie
below a folder, and MOUNTS_VARIABLE tells the task so.
"""

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from tests.kfp_backend.driver import LOGS
from tests.kfp_backend.objects import ObjectStore, local_path
from tests.kfp_backend.processes import Processes
from tests.kfp_backend.values import KINDS, TYPES, as_text, to_json

MOUNTS_VARIABLE = "EFFNET_KFP_MOUNTS"

_Local = Callable[[str], Path]


class LauncherError(Exception):
    """The task failed though its process may have ended well."""


@dataclass(frozen=True)
class Outputs:
    """What an attempt that ended well has made."""

    parameters: dict[str, struct_pb2.Value]
    artifacts: dict[str, spec_pb2.RuntimeArtifact]


@dataclass(frozen=True)
class Launcher:
    """One attempt.

    Attributes:
        pod: an empty folder, the pod's file system.
        store: where artifacts come from and go to.
        root: address below which all of this run's artifacts must lie.
        processes: starts the command.
        environment: variables of the pod.
        timeout: seconds after which it is ended; None: never.
    """

    pod: Path
    store: ObjectStore
    root: str
    processes: Processes
    environment: Mapping[str, str]
    timeout: float | None

    @property
    def log(self) -> Path:
        """What the task printed."""
        return self.pod / "log.txt"

    def launch(
        self,
        executor_input: spec_pb2.ExecutorInput,
        component: spec_pb2.ComponentSpec,
        command: Sequence[str],
        attempt: int,
    ) -> tuple[int, float, Outputs | None]:
        """Downloads, runs and uploads.

        Returns:
            The exit status, the seconds that the command took, and what it made, if it succeeded.

        Raises:
            LauncherError: if the outputs are not what was declared.
        """
        given = self._localized(executor_input, attempt)
        words = _filled(given, component, command, self._local)
        for listed in given.inputs.artifacts.values():
            for artifact in listed.artifacts:
                self.store.download(artifact.uri, self._local(local_path(artifact.uri)))
        self._make_folders(given)
        began = time.monotonic()
        status = self.processes.run(words, self._environment(attempt), self.log, self.timeout)
        seconds = time.monotonic() - began
        self.store.upload(self.log, given.outputs.artifacts[LOGS].artifacts[0].uri)
        if status != 0:
            return status, seconds, None
        return status, seconds, self._collect(given, component)

    def _local(self, path: str) -> Path:
        return self.pod / path.removeprefix("/")

    def _localized(
        self, executor_input: spec_pb2.ExecutorInput, attempt: int
    ) -> spec_pb2.ExecutorInput:
        """Moves the pod's paths below its folder, and numbers the log (qualifyExecutorLogsURI)."""
        given = spec_pb2.ExecutorInput()
        given.CopyFrom(executor_input)
        given.outputs.output_file = str(self._local(given.outputs.output_file))
        for parameter in given.outputs.parameters.values():
            parameter.output_file = str(self._local(parameter.output_file))
        given.outputs.artifacts[LOGS].artifacts[0].uri += f"-{attempt}"
        return given

    def _make_folders(self, given: spec_pb2.ExecutorInput) -> None:
        """Makes the folders that outputs go into, not those of the artifacts themselves."""
        for name in ("tmp", "home"):
            (self.pod / name).mkdir(parents=True, exist_ok=True)
        for parameter in given.outputs.parameters.values():
            Path(parameter.output_file).parent.mkdir(parents=True, exist_ok=True)
        for listed in given.outputs.artifacts.values():
            for artifact in listed.artifacts:
                self._local(local_path(artifact.uri)).parent.mkdir(parents=True, exist_ok=True)

    def _environment(self, attempt: int) -> dict[str, str]:
        return {
            **self.environment,
            MOUNTS_VARIABLE: str(self.pod),
            "HOME": str(self.pod / "home"),
            "TMPDIR": str(self.pod / "tmp"),
            "KFP_RETRY_INDEX": str(attempt),
        }

    def _collect(self, given: spec_pb2.ExecutorInput, component: spec_pb2.ComponentSpec) -> Outputs:
        executor_output = spec_pb2.ExecutorOutput()
        file = Path(given.outputs.output_file)
        if file.exists():
            try:
                json_format.Parse(file.read_text(encoding="utf-8"), executor_output)
            except json_format.ParseError as error:
                raise LauncherError(f"failed to unmarshall ExecutorOutput: {error}") from error
        parameters = dict(executor_output.parameter_values)
        for key, parameter in given.outputs.parameters.items():
            if key not in parameters:
                wanted = component.output_definitions.parameters[key].parameter_type
                parameters[key] = _read_parameter(Path(parameter.output_file), wanted)
        return Outputs(parameters, self._upload(given, executor_output))

    def _upload(
        self, given: spec_pb2.ExecutorInput, executor_output: spec_pb2.ExecutorOutput
    ) -> dict[str, spec_pb2.RuntimeArtifact]:
        uploaded = {}
        for key, listed in given.outputs.artifacts.items():
            artifact = listed.artifacts[0]
            if key != LOGS and executor_output.artifacts[key].artifacts:
                _merge(executor_output.artifacts[key].artifacts[0], artifact)
            if not artifact.uri.startswith(f"{self.root}/"):
                raise LauncherError(
                    f"failed to upload output artifact '{key}': URI '{artifact.uri}' does not "
                    f"have expected bucket prefix '{self.root}'"
                )
            if key != LOGS:
                with contextlib.suppress(FileNotFoundError):  # a task need not make each output
                    self.store.upload(self._local(local_path(artifact.uri)), artifact.uri)
            if not artifact.type.schema_title:
                raise LauncherError(f"failed to determine schema for output '{key}'")
            uploaded[key] = artifact
        return uploaded


def _merge(told: spec_pb2.RuntimeArtifact, artifact: spec_pb2.RuntimeArtifact) -> None:
    artifact.uri = told.uri or artifact.uri
    artifact.metadata.update(to_json(told.metadata))


def _read_parameter(file: Path, wanted: int) -> struct_pb2.Value:
    """Reads an output parameter (collectOutputParameters, TextToPbValue)."""
    try:
        text = file.read_text(encoding="utf-8")
        if wanted == TYPES.STRING:
            return struct_pb2.Value(string_value=text)
        value = json_format.ParseDict(json.loads(text.strip()), struct_pb2.Value())
    except (OSError, ValueError) as error:
        raise LauncherError(f"failed to read output parameter '{file.name}': {error}") from error
    if value.WhichOneof("kind") != KINDS.get(wanted):
        raise LauncherError(f"output parameter '{file.name}' is no {KINDS.get(wanted)}: {text}")
    return value


def _filled(
    given: spec_pb2.ExecutorInput,
    component: spec_pb2.ComponentSpec,
    command: Sequence[str],
    local: _Local,
) -> list[str]:
    """Puts values into a command (compileCmdAndArgs): into its first word the whole input only."""
    filled = spec_pb2.ExecutorInput()
    filled.CopyFrom(given)
    for key, parameter in component.input_definitions.parameters.items():
        if parameter.HasField("default_value") and key not in filled.inputs.parameter_values:
            filled.inputs.parameter_values[key].CopyFrom(parameter.default_value)
    whole = json.dumps(to_json(filled))
    values = _placeholders(filled, local)
    words = [word.replace("{{$}}", whole) for word in command]
    for placeholder, value in values.items():
        words[1:] = [word.replace(placeholder, value) for word in words[1:]]
    return words


def _placeholders(filled: spec_pb2.ExecutorInput, local: _Local) -> dict[str, str]:
    found: dict[str, str] = {}
    for side, artifacts in (
        ("inputs", filled.inputs.artifacts),
        ("outputs", filled.outputs.artifacts),
    ):
        for key, listed in artifacts.items():
            uri = listed.artifacts[0].uri
            found[f"{{{{$.{side}.artifacts['{key}'].uri}}}}"] = uri
            found[f"{{{{$.{side}.artifacts['{key}'].path}}}}"] = str(local(local_path(uri)))
    for key, value in filled.inputs.parameter_values.items():
        found[f"{{{{$.inputs.parameters['{key}']}}}}"] = as_text(value)
    for key, parameter in filled.outputs.parameters.items():
        found[f"{{{{$.outputs.parameters['{key}'].output_file}}}}"] = parameter.output_file
    return found
