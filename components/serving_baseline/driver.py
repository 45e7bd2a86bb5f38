"""Keeps the answer fresh: what serves now becomes part of the cache key."""

from pathlib import Path

from tfx.orchestration import data_types_utils
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2

from components.model_versions import serving_version

SERVING_STATE = "serving_state"


class Driver(base_driver.BaseDriver):
    """Runs before the cache is asked, so another serving version is never answered from it."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Adds the number and digest of the version that serves to the execution's properties."""
        version = serving_version(Path(execution_info.exec_properties["model_dir"]))
        state = f"{version.number}:{version.digest}" if version else "none"
        output = driver_output_pb2.DriverOutput()
        data_types_utils.set_metadata_value(output.exec_properties[SERVING_STATE], state)
        return output
