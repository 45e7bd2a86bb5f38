"""What the pods of a TFJob tell: why they don't run yet, why they failed, what they printed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3
from kubernetes import client

from components.kubernetes_api import TIMEOUTS
from pipeline.kfp.tf_job import CONTAINER
from pipeline.summary import EXIT_FAULT

_END_LINES, _END_CHARACTERS = 60, 3000
_LOG_BYTES = 10 << 20


@dataclass(frozen=True)
class Failure:
    """How a pod ended.

    Attributes:
        text: its name, its status, and why.
        status: of its process; None where it isn't known.
    """

    text: str
    status: int | None


class WorkerPods:
    """The pods of one job. What can't be read is told as such, and is no error."""

    def __init__(self, access: client.ApiClient, namespace: str, names: Sequence[str]) -> None:
        """Takes pods that need not be there yet."""
        self._api = client.CoreV1Api(access)
        self._namespace, self._names = namespace, names

    def waiting(self) -> str:
        """Returns why pods don't run, in the cluster's words."""
        reasons = [f"{name}: {reason}" for name in self._names for reason in self._reasons(name)]
        return "; ".join(reasons) or "the operator has made no pods"

    def failure(self) -> Failure | None:
        """Returns how the pod failed that is the cause: others fail since they have lost it."""
        failed = []
        for name in self._names:
            pod, _ = self._read(name)
            if pod is not None and pod.status.phase == "Failed":
                failed.append((name, pod, _terminated(pod)))
        if not failed:
            return None
        name, pod, terminated = min(failed, key=_order)
        status = getattr(terminated, "exit_code", None)
        how = getattr(terminated, "reason", None) or pod.status.reason or "Failed"
        why = _reason(self.log(name, lines=_END_LINES))
        return Failure(f"pod {name} ended with status {status} ({how}): {why}", status)

    def log(self, name: str, lines: int | None = None) -> str:
        """Returns what a pod printed, or its last lines."""
        limit = {"tail_lines": lines} if lines else {"limit_bytes": _LOG_BYTES}
        try:
            return self._api.read_namespaced_pod_log(
                name, self._namespace, container=CONTAINER, _request_timeout=TIMEOUTS, **limit
            )
        except client.ApiException as error:
            return f"(the log can't be read: {error.status} {error.reason})"
        except urllib3.exceptions.HTTPError as error:
            return f"(the log can't be read: {error})"

    def _reasons(self, name: str) -> Iterator[str]:
        pod, problem = self._read(name)
        if pod is None:
            yield problem
            return
        for condition in pod.status.conditions or ():
            if condition.type == "PodScheduled" and condition.status != "True":
                yield condition.message or condition.reason or "not scheduled"
        for container in pod.status.container_statuses or ():
            waiting = container.state.waiting
            if waiting:
                yield " ".join(filter(None, (waiting.reason, waiting.message)))

    def _read(self, name: str) -> tuple[Any, str]:
        try:
            return self._api.read_namespaced_pod(
                name, self._namespace, _request_timeout=TIMEOUTS
            ), ""
        except client.ApiException as error:
            return None, f"can't be read: {error.status} {error.reason}"
        except urllib3.exceptions.HTTPError as error:
            return None, f"can't be read: {error}"


def _order(failed: tuple[str, Any, Any]) -> tuple[bool, str]:
    """Puts those first that were killed or told why, then those that failed first."""
    terminated = failed[2]
    lost_others = getattr(terminated, "exit_code", None) == EXIT_FAULT
    return lost_others, str(getattr(terminated, "finished_at", ""))


def _reason(log: str) -> str:
    """Returns what the entrypoint said at last, or the end of a log without that."""
    _, told, reason = log.rpartition("\nerror: ")
    return (reason if told else f"its log ends: {log[-_END_CHARACTERS:]}").strip()


def _terminated(pod: Any) -> Any:
    for container in pod.status.container_statuses or ():
        if container.name == CONTAINER:
            return container.state.terminated
    return None
