"""Kubeflow Pipelines' API v2beta1, as far as runs and schedules go, on a real HTTP server.

Paths, bodies and errors are those of backend/api/v2beta1 and of its gateway.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.http_server import Answer, Asked, serving

ROOT = "/apis/v2beta1"
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 500: 13, 503: 14}


def failure(status: int, message: str) -> Answer:
    """An error as the gateway writes it."""
    return status, {"error": message, "code": _CODES[status], "message": message, "details": []}


@dataclass
class Backend:
    """What is there, and how the next requests go wrong.

    Attributes:
        states: of a run, in the order in which they are told; the last one stays.
        token: that must be sent; None: everybody may ask.
        trouble: for the next requests whose method and path it matches, whether the work is done
            all the same (an answer that was lost), and what is answered instead.
    """

    experiments: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    states: list[str] = field(default_factory=lambda: ["SUCCEEDED"])
    details: dict[str, Any] = field(default_factory=dict)
    token: str | None = None
    multi_user: bool = False
    page_size: int = 1000
    trouble: list[tuple[str, bool, Answer]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    endpoint: str = ""
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def calls(self, start: int = 0) -> list[str]:
        """Method and path of each request that changes something, and of each look at one run."""
        told = [f"{asked.method} {urlsplit(asked.path).path}" for asked in self.asked[start:]]
        return [call.replace(ROOT, "") for call in told if not call.startswith("GET")]

    def bodies(self, path: str) -> list[Any]:
        """What was posted to a path."""
        return [asked.body for asked in self.asked if asked.path == ROOT + path and asked.body]

    def answer(self, asked: Asked) -> Answer:
        if self.token is not None and asked.headers.get("authorization") != f"Bearer {self.token}":
            return failure(401, "Request header error: there is no user identity header.")
        call = f"{asked.method} {asked.path}"
        for number, (pattern, is_done, answer) in enumerate(self.trouble):
            if re.search(pattern, call):
                del self.trouble[number]
                if is_done:
                    self._route(asked)
                return answer
        return self._route(asked)

    def _route(self, asked: Asked) -> Answer:
        url = urlsplit(asked.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = url.path.removeprefix(ROOT)
        for method, pattern, act in self._routes():
            found = re.fullmatch(pattern, path)
            if found and method == asked.method:
                return act(*found.groups(), body=asked.body, query=query)
        return failure(404, "Not Found")

    def _routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        return [
            ("GET", "/healthz", lambda **_: (200, {"multi_user": self.multi_user})),
            ("GET", "/experiments", self._list("experiments", self.experiments)),
            ("POST", "/experiments", self._add(self.experiments, "experiment_id")),
            ("GET", "/runs", self._list("runs", self.runs)),
            ("POST", "/runs", self._add(self.runs, "run_id")),
            ("GET", "/runs/([^:/]+)", self._look_at_run),
            ("GET", "/recurringruns", self._list("recurringRuns", self.schedules)),
            ("POST", "/recurringruns", self._add_schedule),
            ("POST", "/recurringruns/([^:/]+):(enable|disable)", self._switch),
            ("DELETE", "/recurringruns/([^:/]+)", self._delete),
        ]

    def _list(self, key: str, rows: list[dict[str, Any]]) -> Callable[..., Answer]:
        def act(query: dict[str, str], **_: Any) -> Answer:
            found = list(reversed(rows))
            for predicate in json.loads(query.get("filter", "{}")).get("predicates", []):
                assert predicate["operation"] == 1
                found = [r for r in found if r[predicate["key"]] == predicate["stringValue"]]
            for name in ("experiment_id", "namespace"):
                if query.get(name):
                    found = [row for row in found if row.get(name, query[name]) == query[name]]
            start = int(query.get("page_token") or 0)
            page = found[start : start + self.page_size]
            end = start + len(page)
            token = {"next_page_token": str(end)} if end < len(found) else {}
            return 200, {key: page, "total_size": len(found), **token}

        return act

    def _add(self, rows: list[dict[str, Any]], key: str) -> Callable[..., Answer]:
        def act(body: dict[str, Any], **_: Any) -> Answer:
            made = {**body, key: f"{key.partition('_')[0]}-{next(self._ids)}"}
            made["created_at"] = "2026-11-24T04:00:00Z"
            if key != "experiment_id" and not made.get("service_account"):
                made["service_account"] = "pipeline-runner"
            rows.append(made)
            return 200, made

        return act

    def _look_at_run(self, run_id: str, **_: Any) -> Answer:
        found = next((run for run in self.runs if run["run_id"] == run_id), None)
        if found is None:
            return failure(404, f"Run {run_id} not found")
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return 200, {**found, "state": state, **self.details}

    def _add_schedule(self, body: dict[str, Any], **_: Any) -> Answer:
        if len(body["trigger"]["cron_schedule"]["cron"].split()) != 6:
            return failure(400, "Schedule cron is not a supported format")
        status, made = self._add(self.schedules, "recurring_run_id")(body=body)
        made["status"] = "ENABLED" if body["mode"] == "ENABLE" else "DISABLED"
        return status, made

    def _switch(self, schedule_id: str, action: str, **_: Any) -> Answer:
        for row in self.schedules:
            if row["recurring_run_id"] == schedule_id:
                row["status"] = "ENABLED" if action == "enable" else "DISABLED"
                return 200, {}
        return failure(404, f"recurring run {schedule_id} not found")

    def _delete(self, schedule_id: str, **_: Any) -> Answer:
        left = [row for row in self.schedules if row["recurring_run_id"] != schedule_id]
        if len(left) == len(self.schedules):
            return failure(404, f"recurring run {schedule_id} not found")
        self.schedules[:] = left
        return 200, {}

    @property
    def enabled(self) -> list[str]:
        """The ids of the schedules that are on."""
        return [row["recurring_run_id"] for row in self.schedules if row["status"] == "ENABLED"]


@contextmanager
def kubeflow_api() -> Iterator[Backend]:
    """Serves an empty one."""
    backend = Backend()
    with serving(backend.answer) as (endpoint, asked):
        backend.endpoint, backend.asked = endpoint, asked
        yield backend
