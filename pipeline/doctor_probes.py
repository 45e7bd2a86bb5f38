"""What can crash, hang or take a minute, done by a process of its own: `python -m` this module.

It says what it finds a line of JSON at a time, so that what was found before a crash is known.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

Answer = Mapping[str, Any]
_CONNECT_SECONDS = 3.0


class _Say(Protocol):
    def __call__(self, **facts: Any) -> None: ...


def ask(probe: str, arguments: Sequence[str], seconds: float) -> tuple[list[Answer], str | None]:
    """Has a probe done by a child process.

    Args:
        probe: its name: libraries, jax, or kubernetes.
        arguments: what it is about.
        seconds: that it may take.

    Returns:
        What it said, and how it ended if that was before its time.
    """
    command = [sys.executable, "-P", "-m", "pipeline.doctor_probes", probe, *arguments]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        output, _ = child.communicate(timeout=seconds)
        end = None if child.returncode == 0 else f"its process ended with {child.returncode}"
    except subprocess.TimeoutExpired:
        child.kill()
        output, _ = child.communicate()
        end = f"it took more than {seconds:.0f} s"
    return list(_answers(output)), end


def _answers(output: bytes) -> Iterator[Answer]:
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith("{") and line.endswith("}"):  # the last one may be torn
            yield json.loads(line)


def load_libraries(names: Sequence[str], seconds: float) -> Iterator[tuple[str, str, Answer]]:
    """Imports one library after another; after a crash a new process goes on.

    Args:
        names: modules.
        seconds: that each process may take.

    Yields:
        A module's name, what is wrong with it ("" where it loads), and what else was found.
    """
    rest = list(names)
    while rest:
        answers, end = ask("libraries", rest, seconds)
        for answer in answers:
            yield answer["name"], answer["error"], answer
            rest.remove(answer["name"])
        if end is not None and rest:
            yield rest.pop(0), f"it can't be imported: {end}", {}


def _libraries(say: _Say, *names: str) -> None:
    for name in names:
        begin = time.monotonic()
        facts: dict[str, Any] = {"name": name, "error": ""}
        try:
            module = importlib.import_module(name)
            facts["version"] = str(getattr(module, "__version__", ""))
            if name == "tensorflow":
                facts["gpus"] = [
                    device.name for device in module.config.list_physical_devices("GPU")
                ]
        except Exception as error:
            facts["error"] = f"{type(error).__name__}: {error}"
        say(**facts, seconds=round(time.monotonic() - begin, 1))


def _jax(say: _Say) -> None:
    import jax

    say(devices=[str(device) for device in jax.local_devices()])


def _kubernetes(say: _Say, context: str = "") -> None:
    """Asks the cluster for its version, which needs no rights."""
    from kubernetes import client, config

    access = client.Configuration()
    access.retries = False
    file = os.environ.get("KUBECONFIG")
    try:
        # As a push chooses between the two.
        if "KUBERNETES_SERVICE_HOST" in os.environ and not (file or context):
            config.load_incluster_config(client_configuration=access)
        else:
            config.load_kube_config(file, context=context or None, client_configuration=access)
    except config.ConfigException as error:
        say(error=str(error))
        return
    say(host=access.host)
    timeouts = (_CONNECT_SECONDS, _CONNECT_SECONDS)
    api = client.VersionApi(client.ApiClient(access))
    try:
        say(version=api.get_code(_request_timeout=timeouts).git_version)
    except Exception as error:
        # By its kind alone: the words of some carry headers of the request.
        say(error=f"no answer ({type(error).__name__})")


PROBES = {"libraries": _libraries, "jax": _jax, "kubernetes": _kubernetes}


def main(probe: str, *arguments: str) -> None:
    """Does a probe; whatever libraries print goes nowhere."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)

    def say(**facts: Any) -> None:
        print(json.dumps(facts), file=answers, flush=True)

    PROBES[probe](say, *arguments)
    answers.flush()
    os._exit(0)  # some libraries' threads outlive their work


if __name__ == "__main__":
    main(*sys.argv[1:])
