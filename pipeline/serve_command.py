"""`effnet serve`: the settings are checked here, before the server's seconds of start begin."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from components.errors import ConfigError
from components.model_server.config import ServerConfig
from pipeline.cli_parts import errors_told
from pipeline.options import parse_set


def serve(
    models: Annotated[
        Path,
        typer.Option(
            "--models",
            metavar="DIR",
            help="OUTPUT/serving, or one model's folder of numbered versions.",
        ),
    ],
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, help="Of REST; 0: any free one.")
    ] = 8080,
    grpc_port: Annotated[
        int, typer.Option("--grpc-port", metavar="P", min=0, help="Of gRPC; 0: any free one.")
    ] = 8081,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="0.0.0.0: all of the machine's.")
    ] = "127.0.0.1",
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A limit, as max_images=16; "
            "`python -m components.model_server --help` lists them. Repeatable.",
        ),
    ] = None,
) -> None:
    """Serve the newest versions over REST and gRPC; load new ones as they are pushed."""
    with errors_told():
        options = {"models": models, "host": host, "port": port, "grpc_port": grpc_port}
        become_server(server_config(sets or (), **options))


def server_config(sets: Sequence[str], **options: Any) -> ServerConfig:
    """Puts the settings of the model server together and checks them.

    Args:
        sets: `key=value`, the value in YAML; each overrides what came before it.
        **options: settings that have options of their own.

    Raises:
        ConfigError: naming what was received, and what is allowed.
    """
    values = dict(options)
    for text in sets:
        path, value = parse_set(text, example="max_images=16")
        values[".".join(path)] = value
    try:
        return ServerConfig.parse(values)
    except ConfigError as error:
        raise ConfigError(f"the server can't be set up so: {error}") from None


def become_server(config: ServerConfig) -> NoReturn:
    """Replaces this process by the model server."""
    settings = config.model_dump(exclude_unset=True).items()
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings]
    # -P: nothing in the working directory may pass for a module of ours.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "components.model_server", *options])
