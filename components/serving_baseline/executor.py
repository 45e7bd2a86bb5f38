"""Copies the model that serves now into an artifact."""

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import features
from components.errors import DataError
from components.model_versions import SCHEMA_FILE, Version, serving_state, versions_at
from components.serving_baseline.driver import SERVING_STATE

VERSION_PROPERTY = "serving_version"
DIGEST_PROPERTY = "serving_digest"
STATE_PROPERTY = "serving_state"  # of both, also where nothing serves
# Signatures that the Evaluator asks, and the outputs that it reads.
_NEEDED = {
    features.SERVING_SIGNATURE: {features.PROBABILITIES, features.PREDICTED_LABEL},
    features.LABELS_SIGNATURE: {features.LABEL_ID, features.KNOWN},
}


class Executor(base_executor.BaseExecutor):
    """A copy, not a reference: versions may be removed while old runs are still read."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `baseline` artifact, or leaves it empty where nothing serves.

        Raises:
            DataError: if what serves is a model of another make.
            RuntimeError: if another version began to serve since the driver looked.
        """
        baseline = artifact_utils.get_single_instance(output_dict["baseline"])
        versions = versions_at(exec_properties["model_dir"])
        version = versions.serving()
        state = serving_state(version)
        if exec_properties.get(SERVING_STATE, state) != state:
            # The cache would hand on this version as the answer for that one.
            raise RuntimeError(
                "another version began to serve while the run looked at the one that did; run "
                "the same command again"
            )
        baseline.set_string_custom_property(STATE_PROPERTY, state)
        if version is None:
            return
        target = Path(path_utils.serving_model_dir(baseline.uri))
        target.parent.mkdir(parents=True, exist_ok=True)
        check_comparable(versions.copy(version, target), version.address)
        baseline.set_int_custom_property(VERSION_PROPERTY, version.number)
        baseline.set_string_custom_property(DIGEST_PROPERTY, version.digest)


def check_comparable(version: Version, address: str) -> None:
    """Refuses a model that somebody else put there: the Evaluator couldn't ask it anything.

    To pass over it instead would drop the rules against what serves without a word.

    Args:
        version: a copy of it.
        address: where it serves, for the message.

    Raises:
        DataError: naming what the model lacks.
    """
    found = _signatures(version.path / "saved_model.pb")
    lacking = [
        f"'{name}' with {', '.join(sorted(outputs))}"
        for name, outputs in _NEEDED.items()
        if not outputs <= found.get(name, set())
    ]
    lacking = [f"the signature {' and '.join(lacking)}"] if lacking else []
    if "classes" not in version.training:
        lacking.append(f"its classes in {features.EXTRA}/{features.TRAINING_FILE}")
    if lacking:
        raise DataError(
            f"the version that serves, {address}, can't be compared with: it lacks "
            f"{', and '.join(lacking)}, so it was not pushed by this pipeline. Move its "
            "folder away, or push under another serving.model_name"
        )


def _signatures(file: Path) -> dict[str, set[str]]:
    """Returns the outputs of each signature; none for a file that can't be read."""
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError:
        return {}
    return {
        name: set(signature.outputs)
        for graph in model.meta_graphs
        for name, signature in graph.signature_def.items()
    }


def has_model(baseline: types.Artifact) -> bool:
    """Tells whether a baseline artifact holds a model."""
    return baseline.has_custom_property(VERSION_PROPERTY)


def judged_state(baseline: types.Artifact) -> str:
    """Returns the `serving_state` of what candidates are judged against by this artifact."""
    return baseline.get_string_custom_property(STATE_PROPERTY)


def kept_schema(baseline: types.Artifact) -> Path | None:
    """Returns the schema kept with the model that serves, or None."""
    file = Path(path_utils.serving_model_path(baseline.uri)) / features.EXTRA / SCHEMA_FILE
    return file if file.is_file() else None
