"""`effnet serve`: the settings are checked here, before the server's seconds of start begin."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from components.errors import ConfigError
from components.model_server.config import ServerConfig
from pipeline.options import parse_set


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
