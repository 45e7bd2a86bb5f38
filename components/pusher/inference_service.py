"""Has a KServe InferenceService serve what serves in the folder of versions.

A pushed version goes live step by step. A step that doesn't become ready in time, or fails, is
undone, and so is a rollout during which somebody sets a hold:

- a service that was there gets its former address and traffic again, first with none of the
  requests (KServe leaves them with the revision that had all of them last), so that no request
  meets the new version while the former starts;
- a service that was created for this version is deleted;
- the version, if this push published it, is withdrawn from the folder. The highest version there
  is what later models are judged against, and must be what serves.

Where even going back fails, the version stays, since the service may point at it. Where somebody
makes another version serve in the folder during a rollout, the service is brought to that one.
"""

import json
import shlex

from absl import logging

from components.errors import ClusterError, EffnetError, RolloutError
from components.model_versions import AnyVersion, Hold, versions_at
from components.pusher.kubernetes_api import RESOURCE, InferenceServiceApi
from components.pusher.kubernetes_config import KubernetesConfig
from components.pusher.rollout import Rollout, check_service


def go_live(settings: KubernetesConfig, version: AnyVersion, new: bool) -> None:
    """Has the cluster serve a version of the folder, or what served before.

    A version that serves already is left alone; one that a killed push left half-way goes on.

    Args:
        settings: which service, and how.
        version: the version, which the cluster must see at `settings.storage_uri`.
        new: whether this push published it; then it is withdrawn if it does not go live.

    Raises:
        ClusterError: if the cluster can't be used as it is set.
        RolloutError: if the version did not become ready, somebody else changed the service, made
            another version serve in the folder, or set a hold.
    """
    known: Hold | None = None
    rollout = Rollout(settings, settings.uri(version.number), lambda: _check_wanted(version, known))
    try:
        if not new:  # What serves already may go on to do so under a hold.
            known = versions_at(version.home).hold()
        return rollout.run()
    except EffnetError as error:
        failed = error
    except BaseException:
        logging.error("%s", _go_back(settings, rollout, version, new)[1])
        raise
    # Not within the handler: who looks for a cause would take the first failure for the whole.
    undone, text = _go_back(settings, rollout, version, new)
    raise (type(failed) if undone else RolloutError)(f"{failed}. {text}")


def follow(settings: KubernetesConfig, version: AnyVersion) -> None:
    """Has the cluster serve, with all requests at once, the version that serves in the folder.

    Args:
        settings: which service.
        version: the version, which the cluster must see at `settings.storage_uri`.

    Raises:
        ClusterError: if the cluster can't be used as it is set.
        RolloutError: if the version did not become ready, or somebody else changed the service, or
            made another version serve in the folder. The service is left as it is then.
    """
    Rollout(settings, settings.uri(version.number), lambda: _check_serves(version)).switch()


def by_hand(settings: KubernetesConfig, version: int) -> str:
    """Returns the command that brings the service to a version, for who has access."""
    predictor = {"canaryTrafficPercent": None, "model": {"storageUri": settings.uri(version)}}
    patch = json.dumps({"spec": {"predictor": predictor}})
    context = f" --context {settings.context}" if settings.context else ""
    where = f"{RESOURCE} {settings.service_name} -n {settings.namespace}{context}"
    return f"kubectl patch {where} --type merge -p {shlex.quote(patch)}"


def check_access(settings: KubernetesConfig) -> None:
    """Reads the service, so that what is amiss shows before a training and not after it.

    Raises:
        ClusterError: if the cluster can't be reached, or can't be used as it is set.
    """
    try:
        service = InferenceServiceApi(settings).get()
    except RolloutError as error:
        raise ClusterError(str(error)) from None
    if service is not None:
        check_service(settings, service)


def _check_serves(version: AnyVersion) -> None:
    serving = versions_at(version.home).serving()
    if serving is None or serving.number != version.number:
        now = "no version" if serving is None else f"version {serving.number}"
        raise RolloutError(
            f"{now} serves in '{version.home}' by now, in the place of version "
            f"{version.number}: somebody went back or forth meanwhile"
        )


def _check_wanted(version: AnyVersion, known: Hold | None) -> None:
    _check_serves(version)
    hold = versions_at(version.home).hold()
    if hold not in (None, known):
        raise RolloutError(
            f"version {version.number} does not go live, as pushing is {hold}; after 'effnet "
            "models release' the next run pushes again"
        )


def _go_back(
    settings: KubernetesConfig, rollout: Rollout, version: AnyVersion, new: bool
) -> tuple[bool, str]:
    """Returns whether the service is as it should be, and what became of it and the version."""
    try:
        serving = versions_at(version.home).serving()
    except (OSError, EffnetError):
        serving = None  # Not known: what somebody else has set, undoing leaves to him.
    if serving is not None and serving.number != version.number:
        return _give_way(settings, serving)
    try:
        undone = rollout.undo()
    except EffnetError as problem:
        return False, (
            f"Going back failed too: {problem}. Version {version.number} stays in the folder, as "
            f"InferenceService {settings} may point at it: see to it with kubectl get "
            f"inferenceservice -n {settings.namespace} {settings.service_name} -o yaml"
        )
    if not new:
        kept = f"Version {version.number}, which an earlier push published, stays in the folder"
        return True, f"{undone}. {kept}"
    if rollout.found_there:
        return True, (
            f"{undone}. Version {version.number} stays in the folder, as InferenceService "
            f"{settings} had its address before this attempt"
        )
    try:
        versions_at(version.home).withdraw(version.number)
    except (OSError, EffnetError) as problem:
        return True, f"{undone}. Version {version.number} could not be withdrawn: {problem}"
    return True, f"{undone}. Version {version.number} was withdrawn from the folder"


def _give_way(settings: KubernetesConfig, serving: AnyVersion) -> tuple[bool, str]:
    """Brings the service to what somebody made serve meanwhile."""
    try:
        follow(settings, serving)
    except EffnetError as problem:
        return False, (
            f"InferenceService {settings} could not be brought to version {serving.number}, which "
            f"serves in the folder: {problem}. What brings it there: "
            f"{by_hand(settings, serving.number)}"
        )
    return True, f"InferenceService {settings} serves version {serving.number}, as the folder says"
