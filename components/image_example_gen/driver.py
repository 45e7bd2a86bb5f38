"""Driver of ImageExampleGen: looks at the data before TFX asks its cache.

The cache key of a node is made of its inputs and parameters; images lie outside TFX's knowledge.
So the driver adds what the data path stands for now and a fingerprint of what lies there.
Kubeflow runs no drivers: there the executor resolves the path, and must not be cached.
"""

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from components.image_example_gen.config import DataConfig
from components.image_example_gen.layouts import list_items
from components.image_example_gen.location import locate
from components.image_example_gen.source import fingerprint

# Named as TFX's own ExampleGen names them.
_SPAN = "span"
_FINGERPRINT = "input_fingerprint"


class Driver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Adds `root`, `span`, `span_name` and `input_fingerprint` to the parameters.

    A component's driver class has to be of both bases: the first when the pipeline is built, the
    second when it runs.
    """

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Lists the data.

        Raises:
          DataError: if there is nothing to train on.
        """
        given = execution_info.exec_properties
        config = DataConfig.parse_json(given["data_config"])
        location = locate(given["data_path"], config.span)
        found = {
            "root": location.root,
            "span_name": location.span_name,
            _SPAN: location.span,
            _FINGERPRINT: fingerprint(list_items(location.root, config)),
        }
        output = driver_output_pb2.DriverOutput()
        for name, value in {**given, **found}.items():
            if value is not None:
                data_types_utils.set_metadata_value(output.exec_properties[name], value)
        return output
