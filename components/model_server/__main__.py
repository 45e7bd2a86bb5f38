"""Starts the model server: python -m components.model_server --models DIR [--port P ...].

Every setting of ServerConfig is an option. When a model answers, one line of JSON on standard
output tells host, port, grpc_port and pid; all else is told on standard error.
"""

import argparse
import importlib.util
import logging
import os
import socket
import sys
import threading

from components.errors import ConfigError, InputError
from components.model_server.config import ServerConfig


def main() -> int:
    """Serves; returns the exit status."""
    try:
        config = _config()
        if config.end_with_stdin:
            threading.Thread(target=_end_with_stdin, daemon=True).start()
        _check(config)
        listener = _listen(config)
        # What follows takes seconds; what can be wrong with the settings has been told.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        logging.basicConfig(
            level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        for name in ("components", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.INFO)
        del sys.argv[1:]  # KServe reads options from there when it is imported.
        from components.model_server.server import serve

        serve(config, listener)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _config() -> ServerConfig:
    parser = argparse.ArgumentParser("components.model_server", allow_abbrev=False)
    for name, field in ServerConfig.model_fields.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            required=field.is_required(),
            default=argparse.SUPPRESS,
            help=field.description,
        )
    return ServerConfig.parse(vars(parser.parse_args()))


def _check(config: ServerConfig) -> None:
    if not config.models.is_dir():
        raise InputError(
            f"{config.models} is no folder; --models names a folder of models, as OUTPUT/serving, "
            "or the folder of one model's numbered versions"
        )
    if importlib.util.find_spec("kserve") is None:
        raise ConfigError("the model server needs kserve, which is not installed: pip install it")


def _listen(config: ServerConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    for option, port in (("--grpc-port", config.grpc_port), ("--port", config.port)):
        try:
            listener = socket.socket(family)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((config.host, port))
            listener.listen(1)
        except OSError as error:
            raise InputError(
                f"can't listen on {config.host}, port {port}: {error.strerror}; choose another "
                f"port by {option}, or 0 for any free one, or another address by --host"
            ) from None
        if option == "--grpc-port":
            listener.close()  # gRPC opens its own; this one was to see whether it can.
    return listener


def _end_with_stdin() -> None:
    os.read(sys.stdin.fileno(), 1)  # which ends when whoever started this does
    os._exit(1)


if __name__ == "__main__":
    status = main()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # A thread may be inside TensorFlow still, loading: an orderly end could crash there.
    os._exit(status)
