"""Keeps the answer fresh: what serves now becomes part of the cache key."""

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from components.model_versions import serving_state, versions_at

SERVING_STATE = "serving_state"


class Driver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Runs before the cache is asked, so another serving version is never answered from it.

    TFX wants both bases: the first when the pipeline is built, the second when it runs.
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Adds the number and digest of the version that serves to the execution's properties."""
        state = serving_state(versions_at(execution_info.exec_properties["model_dir"]).serving())
        output = driver_output_pb2.DriverOutput()
        data_types_utils.set_metadata_value(output.exec_properties[SERVING_STATE], state)
        return output
