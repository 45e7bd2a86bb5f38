import pytest

from pipeline.config import METADATA_PASSWORD_VARIABLE, MetadataConfig
from pipeline.metadata import connection_config


def test_a_store_that_cannot_be_reached_is_told_without_the_password(monkeypatch, tmp_path):
    monkeypatch.setenv(METADATA_PASSWORD_VARIABLE, "S3cret")
    config = MetadataConfig(url="mysql://ann@127.0.0.1:1/mlmd")

    with pytest.raises(RuntimeError, match=r"'mysql://ann@127\.0\.0\.1:1/mlmd' can't be") as told:
        connection_config(config, tmp_path / "unused.sqlite")

    assert "S3cret" not in str(told.value)
