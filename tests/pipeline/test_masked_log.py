import logging

import pytest
from absl import logging as absl_logging
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

from pipeline.masked_log import passwords_masked


@pytest.mark.parametrize("password", ["S3cret", 'qu"o\\te é'])
def test_a_logged_connection_shows_no_password(caplog, password):
    connection = metadata.mysql_metadata_connection_config(
        host="db", port=3306, database="mlmd", username="ann", password=password
    )
    wrapped = metadata_store_pb2.MetadataStoreClientConfig(host="other")
    caplog.set_level(logging.INFO, "absl")
    absl_logging.get_absl_logger().addHandler(caplog.handler)

    with passwords_masked():
        absl_logging.info("Using connection config:\n %s", connection)
        absl_logging.info("Using %s", wrapped)

    absl_logging.get_absl_logger().removeHandler(caplog.handler)
    assert 'user: "ann"' in caplog.text
    assert 'password: "***"' in caplog.text
    assert "S3cret" not in caplog.text
    assert "te " not in caplog.text
    assert caplog.records[-1].msg == "Using %s"
