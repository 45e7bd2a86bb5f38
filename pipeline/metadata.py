"""ML Metadata: where it is kept, and what a run left in it."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.orchestration import metadata as tfx_metadata
from tfx.orchestration.portable.mlmd import execution_lib

from pipeline.config import METADATA_PASSWORD_VARIABLE, MetadataConfig

_MYSQL_PORT = 3306


def connection_config(
    config: MetadataConfig, sqlite_file: Path
) -> metadata_store_pb2.ConnectionConfig:
    """Returns how to reach the store.

    Raises:
        ConfigError: if a MySQL store is configured and its password is not in the environment.
        RuntimeError: if the store can't be opened.
    """
    if config.url == "sqlite":
        sqlite_file.parent.mkdir(parents=True, exist_ok=True)
        connection = tfx_metadata.sqlite_metadata_connection_config(str(sqlite_file))
        _try_out(
            connection,
            f"the metadata store '{sqlite_file}' can't be read: it is damaged, or not one of ML "
            "Metadata's. Move it away, and every node runs anew",
        )
        return connection
    url = urlsplit(config.url)
    connection = tfx_metadata.mysql_metadata_connection_config(
        host=url.hostname,
        port=url.port or _MYSQL_PORT,
        database=url.path.strip("/"),
        username=unquote(url.username or ""),
        password=config.password(),
    )
    _try_out(
        connection,
        f"metadata.url '{config.url}' can't be connected to: see that the server runs and is "
        "reached from here, that the database exists, and that user and password "
        f"({METADATA_PASSWORD_VARIABLE}) are right",
    )
    return connection


def _try_out(connection: metadata_store_pb2.ConnectionConfig, message: str) -> None:
    """MLMD's own error names neither the server nor what is wrong with it."""
    try:
        with tfx_metadata.Metadata(connection):
            pass
    except RuntimeError as error:
        raise RuntimeError(f"{message} ({error})") from None


def newest_execution(connection: metadata_store_pb2.ConnectionConfig) -> int:
    """Returns the highest number that the store has given to an execution; 0 if it is empty."""
    newest = metadata_store.ListOptions(
        limit=1, order_by=metadata_store.OrderByField.ID, is_asc=False
    )
    with tfx_metadata.Metadata(connection) as handle:
        found = handle.store.get_executions(list_options=newest)
    return found[0].id if found else 0


def run_outputs(
    connection: metadata_store_pb2.ConnectionConfig, run_id: str
) -> dict[str, list[types.Artifact]]:
    """Returns the output artifacts of a run, from the cache or not, by their output key."""
    outputs: dict[str, list[types.Artifact]] = {}
    with tfx_metadata.Metadata(connection) as handle:
        context = handle.store.get_context_by_type_and_name("pipeline_run", run_id)
        if context is None:
            return outputs
        for execution in handle.store.get_executions_by_context(context.id):
            found = execution_lib.get_output_artifacts(handle, execution.id)
            for key, artifacts in found.items():
                outputs.setdefault(key, []).extend(artifacts)
    return outputs
