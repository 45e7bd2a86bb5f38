"""Run the uv of .venv with pip's settings, which uv does not read.

A machine is told once, in pip's configuration, where its packages come from: a mirror,
a folder of wheels, a proxy, a certificate. What is set for uv itself goes first.

`python -m tools.uv ARGUMENTS`, with the Python of .venv, does it by hand.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

# Each setting of pip, and the environment variable by which uv takes the same values.
_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
_SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Some wheels have hundreds of megabytes; uv gives up after 30 s without a byte.
_TIMEOUT_SECONDS = "180"


def command_and_environment(python: str) -> tuple[list[str], dict[str, str]]:
    """Return the start of a command line of the uv beside `python`, and its environment."""
    pip_config = subprocess.check_output([python, "-m", "pip", "config", "list"]).decode()
    uv = str(Path(python).with_name("uv"))
    return [uv], uv_environment(pip_config, dict(os.environ))


def uv_environment(pip_config: str, environment: dict[str, str]) -> dict[str, str]:
    """Return `environment` with what `pip config list` printed, in uv's variables."""
    result = {"UV_HTTP_TIMEOUT": _TIMEOUT_SECONDS}
    for name, value in _parse(pip_config).items():
        if name in _VARIABLES:
            result[_VARIABLES[name]] = value
    if "UV_INDEX" in result:
        # pip takes the best version of all indexes, uv that of the first which has any.
        result["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if "UV_FIND_LINKS" in result:
        result["UV_FIND_LINKS"] = ",".join(result["UV_FIND_LINKS"].split())
    # pip trusts the system's certificates beside its own; uv must be told to.
    if "SSL_CERT_FILE" not in environment and _SYSTEM_CERTIFICATES.is_file():
        result["UV_SYSTEM_CERTS"] = "true"
    result.update(environment)
    return result


def _parse(pip_config: str) -> dict[str, str]:
    """Read lines such as `global.index-url='...'`; the more specific settings win."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in pip_config.splitlines():
        key, equals, literal = line.partition("=")
        section, _, name = key.partition(".")
        if equals and section in found:
            found[section][name] = str(ast.literal_eval(literal))
    return {**found["global"], **found["install"], **found[":env:"]}


if __name__ == "__main__":
    command, environment = command_and_environment(sys.executable)
    os.execve(command[0], command + sys.argv[1:], environment)
