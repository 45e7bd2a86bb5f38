"""Brings the InferenceService, where there is one, to what `effnet models` made serve."""

from collections.abc import Callable
from pathlib import Path

from components.errors import ConfigError, EffnetError, RolloutError
from components.model_versions import AnyVersion
from components.pusher.kubernetes_config import KubernetesConfig
from pipeline.options import effective_config
from pipeline.served import Served

Find = Callable[[], KubernetesConfig | None]


def service_of(output: Served, model: str, config: Path | None) -> Find:
    """Returns what finds the InferenceService that serves a model, or None where there is none.

    Args:
        output: where the model was pushed to.
        model: its name.
        config: a configuration that tells, which is read at once; None: the newest run's of this
            model tells, read when it is asked for. It may be damaged, and going back must not wait.

    Raises:
        ConfigError: if the configuration can't be read, or is another model's.
    """
    if config is None:
        return lambda: _of_newest_run(output, model)
    serving = effective_config(config).serving
    if serving.model_name != model:
        raise ConfigError(
            f"'{config}' is of the model {serving.model_name} (serving.model_name), not of {model}"
        )
    return lambda: serving.kubernetes


def _of_newest_run(output: Served, model: str) -> KubernetesConfig | None:
    for config in output.configs():
        serving = effective_config(config).serving
        if serving.model_name == model:
            return serving.kubernetes
    return None


def bring(find: Find, version: AnyVersion, repeat: str, note: Callable[[str], None]) -> None:
    """Has the cluster serve a version that serves in the folder, and tells so.

    Args:
        find: finds the service.
        version: the version.
        repeat: the command that tries it again.
        note: is told what is waited for, and what came of it.

    Raises:
        RolloutError: if that failed; it says what is left to do.
    """
    service = None
    try:
        service = find()
        if service is None:
            return
        # Imported where it is needed: the Kubernetes client takes a second.
        from components.pusher.inference_service import follow

        note(
            f"bringing InferenceService {service} to version {version.number}, which may take up "
            f"to {service.ready_seconds:g} seconds"
        )
        follow(service, version)
    except EffnetError as error:
        raise RolloutError(_left_to_do(service, version, repeat, str(error))) from None
    note(f"InferenceService {service} serves {service.uri(version.number)}")


def _left_to_do(
    service: KubernetesConfig | None, version: AnyVersion, repeat: str, problem: str
) -> str:
    done = f"version {version.number} serves in the folder, but"
    if service is None:
        return (
            f"{done} whether an InferenceService serves this model, too, can't be told: {problem}. "
            f"Left to do, if one does: {repeat} --config FILE"
        )
    from components.pusher.inference_service import by_hand

    return (
        f"{done} InferenceService {service} was not brought to it: {problem}. Left to do, unless "
        f"another version serves by then: {repeat}; or {by_hand(service, version.number)}"
    )
