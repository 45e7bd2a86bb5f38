import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata as tfx_metadata

from pipeline.config import METADATA_PASSWORD_VARIABLE, MetadataConfig
from pipeline.metadata import connection_config, newest_execution


def test_a_store_that_cannot_be_reached_is_told_without_the_password(monkeypatch, tmp_path):
    monkeypatch.setenv(METADATA_PASSWORD_VARIABLE, "S3cret")
    config = MetadataConfig(url="mysql://ann@127.0.0.1:1/mlmd")

    with pytest.raises(RuntimeError, match=r"'mysql://ann@127\.0\.0\.1:1/mlmd' can't be") as told:
        connection_config(config, tmp_path / "unused.sqlite")

    assert "S3cret" not in str(told.value)


def test_a_damaged_store_is_told_with_its_place(tmp_path):
    store = tmp_path / "metadata.sqlite"
    store.write_bytes(b"no database " * 500)

    with pytest.raises(RuntimeError, match=r"metadata\.sqlite' can't be read.*Move it away"):
        connection_config(MetadataConfig(), store)


def test_the_newest_execution_is_found(tmp_path):
    connection = connection_config(MetadataConfig(), tmp_path / "metadata.sqlite")
    assert newest_execution(connection) == 0

    with tfx_metadata.Metadata(connection) as handle:
        kind = handle.store.put_execution_type(metadata_store_pb2.ExecutionType(name="Trainer"))
        execution = metadata_store_pb2.Execution(type_id=kind)
        ids = handle.store.put_executions([execution, execution])

    assert newest_execution(connection) == max(ids)
