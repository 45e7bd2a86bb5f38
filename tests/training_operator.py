"""A Kubernetes API that knows TFJobs and pods, and the Training Operator behind it.

The operator keeps to the sources of release 1.9: names of pods and of the container, TF_CONFIG,
conditions, and no pod left behind once its job is gone. Its pods are processes of this machine.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import yaml

from tests.http_server import Answer, Asked, serving

NAMESPACE, TOKEN = "training", "a-secret-token"
JOBS = f"/apis/kubeflow.org/v1/namespaces/{NAMESPACE}/tfjobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
# The server processes fork from has imported this, and run nothing.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.light_trainer"])

_GRACE_SECONDS = 2.0

Json = dict[str, Any]


def run_forked(words: list[str], environment: Mapping[str, str], log: Path) -> BaseProcess:
    """Starts `python -m MODULE ARGUMENTS` as a fork of a process that has imported the Trainer."""
    assert words[:2] == ["python", "-m"]
    process = _FORKS.Process(target=_become, args=(words[2:], dict(environment), str(log)))
    process.start()
    return process


def _become(words: list[str], environment: dict[str, str], log: str) -> None:
    import importlib

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    importlib.import_module(words[0]).main()


@dataclass
class Pod:
    """A process."""

    process: BaseProcess
    log: Path

    @property
    def phase(self) -> str:
        status = self.process.exitcode
        return "Running" if status is None else "Succeeded" if status == 0 else "Failed"

    def described(self, name: str) -> Json:
        status: Json = {"phase": self.phase}
        if self.process.exitcode is not None:
            code = self.process.exitcode
            code = 128 - code if code < 0 else code
            reason = {0: "Completed", 137: "OOMKilled"}.get(code, "Error")
            ended = {"terminated": {"exitCode": code, "reason": reason}}
            required = {"ready": False, "restartCount": 0, "image": "", "imageID": ""}
            status["containerStatuses"] = [{"name": "tensorflow", "state": ended, **required}]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "status": status}


@dataclass
class Operator:
    """The cluster; tests set it up and read it.

    Attributes:
        folder: for logs.
        full: whether no machine is left, so that no pod starts.
        answers: statuses to answer requests by a method and a kind with, once each.
        made: every job that was created, as it was sent.
        seen: what was asked, as METHOD and path.
        jobs: that are there, by name.
        pods: that are there, by name.
        on_look: called when a job with pods is read.
        on_post: becomes `answers` when a job is created.
    """

    folder: Path
    full: bool = False
    answers: list[tuple[str, str, int]] = field(default_factory=list)
    made: list[Json] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    jobs: dict[str, Json] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    on_look: Callable[["Operator"], None] | None = None
    on_post: list[tuple[str, str, int]] = field(default_factory=list)
    _killed_at: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, asked: Asked) -> Answer:
        """Answers one request."""
        path = asked.path.partition("?")[0]
        with self._lock:
            headers = {name.lower(): value for name, value in asked.headers.items()}
            if headers.get("authorization") != f"Bearer {TOKEN}":
                return 401, _failure(401, "Unauthorized")
            self.seen.append(f"{asked.method} {path}")
            kind = "tfjobs" if path.startswith(JOBS) else "pods"
            if self.answers and self.answers[0][:2] == (asked.method, kind):
                status = self.answers.pop(0)[2]
                return status, _failure(status, f"scripted {status}")
            if kind == "pods":
                return self._pod(path.removeprefix(PODS + "/"))
            name = path.removeprefix(JOBS).removeprefix("/")
            return getattr(self, f"_{asked.method.lower()}")(name, asked.body)

    def _pod(self, path: str) -> Answer:
        name, _, log = path.partition("/")
        pod = self.pods.get(name)
        if pod is None and self.full:
            message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
            condition = {"type": "PodScheduled", "status": "False", "message": message}
            status = {"phase": "Pending", "conditions": [condition]}
            return 200, {"kind": "Pod", "metadata": {"name": name}, "status": status}
        if pod is None:
            return 404, _failure(404, f'pods "{name}" not found', "pods")
        if log:
            return 200, pod.log.read_text(encoding="utf-8")
        return 200, pod.described(name)

    def _post(self, _: str, body: Json) -> Answer:
        name = body["metadata"]["name"]
        if name in self.jobs:
            return 409, _failure(409, f'tfjobs "{name}" already exists')
        job = json.loads(json.dumps(body))
        job["metadata"] |= {"uid": f"uid-{len(self.made)}", "resourceVersion": "1"}
        self.made.append(body)
        self.answers, self.on_post = self.on_post, []
        self.jobs[name] = job
        if not self.full:
            self._start(name, job["spec"]["tfReplicaSpecs"])
        return 201, job

    def _start(self, job: str, replicas: Json) -> None:
        numbers = {kind.lower(): spec["replicas"] for kind, spec in replicas.items()}
        ports = iter(_free_ports(sum(numbers.values())))
        cluster = {
            kind: [f"127.0.0.1:{next(ports)}" for _ in range(number)]
            for kind, number in numbers.items()
        }
        for kind, spec in replicas.items():
            (container,) = spec["template"]["spec"]["containers"]
            assert container["name"] == "tensorflow"
            for index in range(spec["replicas"]):
                task = {"type": kind.lower(), "index": index}
                config = {"cluster": cluster, "task": task, "environment": "cloud"}
                name = f"{job}-{kind.lower()}-{index}"
                own = {each["name"]: each["value"] for each in container.get("env", [])}
                environment = {**os.environ, **own, "TF_CONFIG": json.dumps(config)}
                log = self.folder / f"{name}.log"
                self.pods[name] = Pod(run_forked(container["command"], environment, log), log)

    def _get(self, name: str, _: Any) -> Answer:
        job = self.jobs.get(name)
        own = [pod for pod in self.pods if pod.startswith(f"{name}-")]
        if job is not None and "deletionTimestamp" in job["metadata"]:
            job = self._going(name, job, own)
        if job is None:
            return 404, _failure(404, f'tfjobs "{name}" not found', "tfjobs")
        job["status"] = self._status(name, job)
        if self.on_look and own:
            self.on_look(self)
        return 200, job

    def _going(self, name: str, job: Json, own: list[str]) -> Json | None:
        """Removes a job that is deleted in the foreground, once all of its pods have ended."""
        if time.monotonic() > self._killed_at:  # as after a pod's grace period
            self.stop(name, kill=True)
        if any(self.pods[pod].phase == "Running" for pod in own):
            return job
        del self.jobs[name]
        for pod in own:
            del self.pods[pod]
        return None

    def _status(self, name: str, job: Json) -> Json:
        statuses, conditions = {}, [_condition("Created", f"TFJob {name} is created.")]
        for kind in job["spec"]["tfReplicaSpecs"]:
            prefix = f"{name}-{kind.lower()}-"
            phases = [pod.phase for key, pod in self.pods.items() if key.startswith(prefix)]
            counts = {"active": "Running", "succeeded": "Succeeded", "failed": "Failed"}
            found = {key: phases.count(phase) for key, phase in counts.items()}
            statuses[kind] = {key: number for key, number in found.items() if number}
            if kind == "Chief" and found["succeeded"]:
                text = f"TFJob {NAMESPACE}/{name} successfully completed."
                conditions.append(_condition("Succeeded", text))
            if found["failed"]:
                text = f"because {found['failed']} {kind} replica(s) failed."
                conditions.append(
                    _condition("Failed", f"TFJob {NAMESPACE}/{name} has failed {text}")
                )
        return {"conditions": conditions, "replicaStatuses": statuses}

    def _delete(self, name: str, body: Json) -> Answer:
        job = self.jobs[name]
        assert body["propagationPolicy"] == "Foreground"
        if body["preconditions"]["uid"] != job["metadata"]["uid"]:
            return 409, _failure(409, "another uid")
        job["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.stop(name)
        self._killed_at = time.monotonic() + _GRACE_SECONDS
        return 200, job

    def stop(self, prefix: str = "", kill: bool = False) -> None:
        """Ends pods as a cluster does, or as its kernel does where memory runs out."""
        for name, pod in self.pods.items():
            if name.startswith(prefix) and pod.phase == "Running":
                assert pod.process.pid is not None
                os.kill(pod.process.pid, signal.SIGKILL if kill else signal.SIGTERM)


def _condition(kind: str, message: str) -> Json:
    return {"type": kind, "status": "True", "reason": f"TFJob{kind}", "message": message}


def _failure(code: int, message: str, kind: str | None = None) -> Json:
    facts = {"kind": "Status", "status": "Failure", "message": message, "code": code}
    return {**facts, "details": {"kind": kind} if kind else {}}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


@contextlib.contextmanager
def training_operator(folder: Path) -> Iterator[tuple[Operator, Path]]:
    """Serves a cluster on loopback; yields it and a kubeconfig for it. Its pods end with it."""
    operator = Operator(folder)
    with serving(operator.answer) as (address, _):
        context = {"cluster": "here", "user": "task", "namespace": NAMESPACE}
        access = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": address}}],
            "users": [{"name": "task", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": context}],
        }
        file = folder / "kubeconfig"
        file.write_text(yaml.safe_dump(access), encoding="utf-8")
        file.chmod(0o600)
        try:
            yield operator, file
        finally:
            operator.stop(kill=True)
            for pod in operator.pods.values():
                pod.process.join(30)
