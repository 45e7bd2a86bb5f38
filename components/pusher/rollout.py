"""One InferenceService on its way to an address, step by step, and back.

Only `storageUri` and `canaryTrafficPercent` of the predictor are changed, each time under the
resourceVersion that was read: of two that change it one gives way.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

from absl import logging

from components import run_events
from components.errors import ClusterError, RolloutError
from components.pusher.kubernetes_api import (
    API_VERSION,
    GROUP,
    ConflictError,
    InferenceServiceApi,
    Service,
)
from components.pusher.kubernetes_config import KubernetesConfig
from components.pusher.rollout_status import Aim, Mark, Status

_POLL_SECONDS = 2.0
_ATTEMPTS = 10  # at a patch while the status, which has the same resourceVersion, keeps changing
_STOP = f"{GROUP}/stop"
_CREATED_BY = "effnet-tfx/created-by"  # an annotation


def check_service(settings: KubernetesConfig, service: Service) -> None:
    """Refuses a service that a change of the model's address can't bring to serve it.

    Raises:
        ClusterError: saying why.
    """
    if "model" not in service["spec"].get("predictor", {}):
        raise ClusterError(
            f"InferenceService {settings} has no spec.predictor.model, whose storageUri could "
            "name a version: give it one, or name another service in "
            "serving.kubernetes.service_name"
        )
    annotations = service["metadata"].get("annotations") or {}
    if annotations.get(_STOP, "").lower() == "true":
        raise ClusterError(
            f"InferenceService {settings} was stopped by its annotation {_STOP}: remove that, and "
            "run again"
        )


class Rollout:
    """One way to a version, and back.

    Every method raises ClusterError where the cluster can't be used as it is set, and RolloutError
    where the service did not become ready or somebody else changed it.
    """

    def __init__(self, settings: KubernetesConfig, uri: str, check: Callable[[], None]):
        """Describes a rollout.

        Args:
            settings: which service, and how.
            uri: where the cluster sees the version.
            check: called whenever the service is looked at; it raises where the rollout is to end.
        """
        self._settings, self._uri, self._check = settings, uri, check
        self._api: InferenceServiceApi
        self._former: Service | None = None  # the service as it was before
        self._aim: Aim | None = None  # what was set last
        self._shared = False  # whether others may set the same address
        self.found_there = False  # whether it had this address, by an attempt that was killed
        self._token = uuid.uuid4().hex  # tells a service that was created here

    def run(self) -> None:
        """Gives the version, which may have a share already, one greater one after another."""
        before = self._begin()
        if before is None:
            return
        former = self._begun_at()
        moves = former.uri != self._uri
        old = before.mark if moves else None
        if not moves and former.share == 100 and before.ready(100, None):
            return logging.info("InferenceService %s serves %s", self._settings, self._uri)
        for share in self._steps(before):
            if moves or share >= former.share:
                self._move(Aim(self._uri, share if share < 100 else None), old, before)
                self._watch(share, old, before)

    def switch(self) -> None:
        """Gives the version all requests at once; others may be about the same."""
        self._shared = True
        before = self._begin()
        if before is None:
            return
        former = self._begun_at()
        old = before.mark if former.uri != self._uri else None
        if old is not None and former.share < 100 and before.splits_traffic and before.has_served:
            # Else the version that has a part of the requests has all of them meanwhile.
            self._move(Aim(self._uri, 0), old, before)
        self._move(Aim(self._uri, None), old, before)

    def undo(self) -> str:
        """Restores what was before; says what that is."""
        self._check = lambda: None
        if self._aim is None:
            return "The service was left as it was"
        service = self._api.get()
        if self._former is None:
            return self._delete_own(service)
        former = self._begun_at()
        if service is None or Aim.of(service) not in (self._aim, former):
            return "The service was left to whoever changed it"
        if Aim.of(service) == former:
            return "The service was left as it was"
        self._restore(former, Status.of(self._former), Status.of(service))
        return f"InferenceService {self._settings} is set to {former} again, as before"

    def _begin(self) -> Status | None:
        """Returns the status before any change; None where the service was created, and serves."""
        self._api = InferenceServiceApi(self._settings)
        # Before the check: what was there decides what becomes of the version.
        self._former = self._api.get()
        self.found_there = self._former is not None and self._begun_at().uri == self._uri
        self._check()
        self._former = self._former or self._create()
        if self._former is None:
            self._wait(None, Status({}))
            return None
        check_service(self._settings, self._former)
        self._aim = self._begun_at()
        return Status.of(self._former)

    def _begun_at(self) -> Aim:
        assert self._former is not None
        return Aim.of(self._former)

    def _create(self) -> Service | None:
        """Creates the service; returns the one that is there, if another did so meanwhile."""
        # Before the request: its answer may be lost, and what it did is to be undone then.
        self._aim = Aim(self._uri, None)
        try:
            self._api.create(self._new_service())
        except ConflictError:
            found = self._api.get()
            # A request whose answer was lost is sent again, and meets what it has made.
            return None if found is None or self._is_own(found) else found
        return None

    def _is_own(self, service: Service) -> bool:
        return (service["metadata"].get("annotations") or {}).get(_CREATED_BY) == self._token

    def _delete_own(self, service: Service | None) -> str:
        left = "The service was left to whoever changed it"
        if service is None:
            return "There is no service, as before"
        if not self._is_own(service) or Aim.of(service) != self._aim:
            return left
        try:
            self._api.delete(service)
        except ConflictError:
            return left
        return f"InferenceService {self._settings}, which was created for it, was deleted"

    def _steps(self, before: Status) -> tuple[int, ...]:
        steps = self._settings.steps
        if len(steps) > 1 and not before.splits_traffic:
            run_events.warn(
                f"InferenceService {self._settings} is in Standard mode, which gives no part of "
                "the requests to a new version: it gets all of them once its pods are ready"
            )
        # Without a revision that had all requests there is none to share them with.
        return steps if before.splits_traffic and before.has_served else (100,)

    def _restore(self, former: Aim, before: Status, failed: Status) -> None:
        """Sets what was before, and waits until it serves, if it did."""
        # Where the failed change made nothing new, undoing it makes nothing new either.
        old = failed.mark if failed.mark != before.mark else None
        if not before.ready(former.share, None):
            return self._set(former)
        # None of the requests at first; of a revision that has had all, KServe would make less.
        if old is not None and before.splits_traffic and before.has_served:
            self._move(Aim(former.uri, 0), old, failed)
        self._move(former, old, failed)

    def _move(self, aim: Aim, old: Mark, before: Status) -> None:
        self._set(aim)
        self._wait(old, before)

    def _set(self, aim: Aim) -> None:
        """Patches the service, provided that nobody else has set it to anything meanwhile."""
        predictor = {"canaryTrafficPercent": aim.percent, "model": {"storageUri": aim.uri}}
        for attempt in range(_ATTEMPTS):
            service = self._read(aim)
            # Before the request: its answer may be lost, and what it did is to be undone then.
            last, self._aim = self._aim, aim
            found = Aim.of(service)
            if found == aim or (self._shared and found.uri == aim.uri and found.share > aim.share):
                return
            try:
                self._api.patch({"spec": {"predictor": predictor}}, service)
                return logging.info("InferenceService %s: %s", self._settings, aim)
            except ConflictError:
                self._aim = last
                time.sleep(min(0.1 * 2**attempt, _POLL_SECONDS))
        raise RolloutError(f"InferenceService {self._settings} keeps changing: no patch got in")

    def _read(self, next_aim: Aim | None = None) -> Service:
        """Reads the service, provided that it is as it was set last, or is next."""
        self._check()
        service = self._api.get()
        if service is None:
            raise RolloutError(f"somebody deleted InferenceService {self._settings} meanwhile")
        check_service(self._settings, service)
        found = Aim.of(service)
        if found not in (self._aim, next_aim) and not (self._shared and found.uri == self._uri):
            # Whoever changes what serves in the folder may set the service as well.
            self._check()
            raise RolloutError(
                f"somebody else set InferenceService {self._settings} to {found} meanwhile, and "
                "one of two must give way"
            )
        return service

    def _wait(self, old: Mark, before: Status) -> None:
        """Waits until the newest version is ready with its share of the requests."""
        deadline = time.monotonic() + self._settings.ready_seconds
        while True:
            service = self._read()
            status = Status.of(service)
            if status.ready(Aim.of(service).share, old):
                return
            failure = status.failure(before)
            if failure is not None:
                raise RolloutError(
                    f"InferenceService {self._settings} failed with {self._aim}: {failure}"
                )
            if time.monotonic() >= deadline:
                raise RolloutError(
                    f"InferenceService {self._settings} was not ready with {self._aim} after "
                    f"{self._settings.ready_seconds:g} seconds: {status.reasons()}"
                )
            time.sleep(min(_POLL_SECONDS, self._settings.ready_seconds))

    def _watch(self, share: int, old: Mark, before: Status) -> None:
        """Watches a step before the next; a pod that is replaced meanwhile may do so."""
        end = time.monotonic() + (self._settings.step_seconds if share < 100 else 0)
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(_POLL_SECONDS, left))
            self._wait(old, before)

    def _new_service(self) -> Service:
        settings = self._settings
        model: dict[str, Any] = {"modelFormat": {"name": settings.model_format}}
        if settings.runtime is not None:
            model["runtime"] = settings.runtime
        return {
            "apiVersion": f"{GROUP}/{API_VERSION}",
            "kind": "InferenceService",
            "metadata": {
                "name": settings.service_name,
                "namespace": settings.namespace,
                "annotations": {_CREATED_BY: self._token},
            },
            "spec": {"predictor": {"model": {**model, "storageUri": self._uri}}},
        }
