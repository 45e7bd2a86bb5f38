"""What the backend's metadata store makes of artifacts, and the tasks that it remembers.

From v2/metadata/converter.go and client.go: an artifact comes back under a number for its name,
without its type, with whole numbers for truth values and every list and struct wrapped.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from tests.kfp_backend.values import to_json

SUCCEEDED, FAILED, SKIPPED, OMITTED = "Succeeded", "Failed", "Skipped", "Omitted"


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact that some task has published."""

    id: int
    uri: str
    properties: dict[str, Any]

    def as_input(self) -> spec_pb2.RuntimeArtifact:
        """Returns it as a later task gets it (OutputArtifact.ToRuntimeArtifact)."""
        artifact = spec_pb2.RuntimeArtifact(name=str(self.id), uri=self.uri)
        artifact.type.instance_schema = ""
        json_format.ParseDict(self.properties, artifact.metadata)
        return artifact


@dataclass
class Task:
    """One task of one run, or a nested DAG with its own."""

    name: str
    state: str = OMITTED
    reason: str = ""  # why it failed, was skipped or omitted
    log: str | None = None  # address of what the last attempt printed
    cached: bool = False
    exit_codes: list[int] = field(default_factory=list)  # one an attempt
    seconds: list[float] = field(default_factory=list)  # one an attempt
    inputs: spec_pb2.ExecutorInput.Inputs = field(default_factory=spec_pb2.ExecutorInput.Inputs)
    parameters: dict[str, struct_pb2.Value] = field(default_factory=dict)  # outputs
    artifacts: dict[str, StoredArtifact] = field(default_factory=dict)  # outputs
    dag: spec_pb2.DagSpec | None = None
    children: dict[str, "Task"] = field(default_factory=dict)

    def output_parameter(self, key: str) -> struct_pb2.Value | None:
        """Finds an output parameter, in the nested DAG's task that makes it (resolve.go)."""
        if self.dag is None:
            return self.parameters.get(key)
        spec = self.dag.outputs.parameters[key]
        for selector in (
            [spec.value_from_parameter]
            if spec.WhichOneof("kind") == "value_from_parameter"
            else spec.value_from_oneof.parameter_selectors
        ):
            child = self.children.get(selector.producer_subtask)
            if child is not None and child.state == SUCCEEDED:
                return child.output_parameter(selector.output_parameter_key)
        return None

    def output_artifact(self, key: str) -> StoredArtifact | None:
        """Finds an output artifact, in the nested DAG's task that makes it (resolve.go)."""
        if self.dag is None:
            return self.artifacts.get(key)
        for selector in self.dag.outputs.artifacts[key].artifact_selectors:
            child = self.children.get(selector.producer_subtask)
            if child is not None and child.state == SUCCEEDED:
                return child.output_artifact(selector.output_artifact_key)
        return None


@dataclass
class MetadataStore:
    """Artifacts of all runs, and the tasks from which later ones may be answered."""

    artifacts: list[StoredArtifact] = field(default_factory=list)
    cache: dict[tuple[str, str], Task] = field(default_factory=dict)  # by pipeline, fingerprint

    def publish(self, key: str, artifact: spec_pb2.RuntimeArtifact) -> StoredArtifact:
        """Stores an output artifact (toMLMDArtifact, RecordArtifact)."""
        properties = {
            name: _stored_value(value) for name, value in to_json(artifact.metadata).items()
        }
        properties.setdefault("display_name", key)
        session = {"Provider": "minio", "Params": {"fromEnv": "true"}}
        properties.setdefault("store_session_info", json.dumps(session))
        stored = StoredArtifact(len(self.artifacts) + 1, artifact.uri, properties)
        self.artifacts.append(stored)
        return stored


def _stored_value(value: Any) -> Any:
    if value is None:
        raise ValueError("failed to convert RuntimeArtifact to MLMD artifact: null")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return {"list": value}
    if isinstance(value, dict):
        return {"struct": value}
    return value
