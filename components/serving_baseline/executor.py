"""Copies the model that serves now into an artifact."""

import shutil
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.model_versions import EXTRA, SCHEMA_FILE, serving_version

VERSION_PROPERTY = "serving_version"
DIGEST_PROPERTY = "serving_digest"


class Executor(base_executor.BaseExecutor):
    """A copy, not a reference: versions may be removed while old runs are still read."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `baseline` artifact, or leaves it empty where nothing serves."""
        baseline = artifact_utils.get_single_instance(output_dict["baseline"])
        version = serving_version(Path(exec_properties["model_dir"]))
        if version is None:
            return
        shutil.copytree(version.path, path_utils.serving_model_dir(baseline.uri))
        baseline.set_int_custom_property(VERSION_PROPERTY, version.number)
        baseline.set_string_custom_property(DIGEST_PROPERTY, version.digest)


def has_model(baseline: types.Artifact) -> bool:
    """Tells whether a baseline artifact holds a model."""
    return baseline.has_custom_property(VERSION_PROPERTY)


def kept_schema(baseline: types.Artifact) -> Path | None:
    """Returns the schema kept with the model that serves, or None."""
    file = Path(path_utils.serving_model_path(baseline.uri)) / EXTRA / SCHEMA_FILE
    return file if file.is_file() else None
