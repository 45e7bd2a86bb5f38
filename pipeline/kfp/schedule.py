"""Runs that a cluster starts by itself, by the clock.

Kubeflow calls a schedule a recurring run. It can't be changed, and its name is not unique, so a
changed one is made anew in the place of the former.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format

from components.errors import ClusterError
from components.settings import nearest
from pipeline.kfp.client import Kubeflow, NotThereError, UnavailableError
from pipeline.kfp.cron import from_kubeflow
from pipeline.kfp.package import Package
from pipeline.kfp.submit import ENDED, Note, Order, experiment_id, named

_ENABLED = "ENABLED"
# Kubeflow tells the account that its default was, not that none was named: so a schedule's
# description says it.
_MADE_WITH = "by effnet schedule, as the service account "
_DEFAULT_ACCOUNT = "of Kubeflow's choice"
_PAGE = 100
_AT_ONCE = 1
_MISSED = {True: "are not made up for", False: "are made up for"}  # by KFP's no_catchup


def find(kubeflow: Kubeflow, name: str | None = None) -> list[Any]:
    """Returns KFP's recurring runs, the newest first: all, or those of one name."""
    return kubeflow.ask(lambda client: list(_pages(client, kubeflow.namespace, name)))


def _pages(client: Any, namespace: str | None, name: str | None) -> Iterator[Any]:
    token = ""
    while True:
        page = client.list_recurring_runs(
            page_token=token,
            page_size=_PAGE,
            sort_by="created_at desc",
            namespace=namespace,
            filter=None if name is None else named(name),
        )
        yield from page.recurring_runs or []
        token = page.next_page_token
        if not token:
            return


def replace(kubeflow: Kubeflow, order: Order, cron: str, note: Note) -> list[str]:
    """Makes a schedule, in the place of those of the same name.

    The former one is switched off before the new one is switched on, so that never two start runs;
    if anything fails between, the former one is switched on again.

    Args:
        kubeflow: where.
        order: what it starts.
        cron: when, as KFP has it.
        note: told of what is left behind.

    Returns:
        What changed, in words; [] if the very schedule was there already.

    Raises:
        ClusterError: if Kubeflow refuses, naming the mend.
        UnavailableError: if it stays unavailable.
    """
    experiment, former = experiment_id(kubeflow, order.experiment), find(kubeflow, order.name)
    enabled = [old for old in former if old.status == _ENABLED]
    base = next(iter([*enabled, *former]), None)
    changed = ["it is new"] if base is None else changes(base, order, cron, experiment)
    if not changed and len(enabled) == 1:
        for old in former:
            if old is not base:
                _retire(kubeflow, old, note)
        return []
    known = {old.recurring_run_id for old in former}
    new = _create(kubeflow, order, cron, experiment, known)
    try:
        for old in enabled:
            _switch(kubeflow, old.recurring_run_id, on=False)
        _switch(kubeflow, new, on=True)
    except BaseException:
        _undo(kubeflow, new, enabled, order.name)
        raise
    for old in former:
        _retire(kubeflow, old, note)
    return changed or ["nothing but that it was switched off, or there more than once"]


def remove(kubeflow: Kubeflow, name: str, note: Note) -> None:
    """Removes all schedules of a name; a run that one of them has started goes on.

    Raises:
        ClusterError: if there is none, naming the nearest.
    """
    found = find(kubeflow, name)
    if not found:
        known = sorted({each.display_name for each in find(kubeflow)})
        try:
            nearest(name, known, "schedule")
        except ValueError as error:
            raise ClusterError(str(error) if known else "there are no schedules") from None
    for each in found:
        _switch(kubeflow, each.recurring_run_id, on=False)
        _retire(kubeflow, each, note)


def changes(former: Any, order: Order, cron: str, experiment: str) -> list[str]:
    """Returns in words what a schedule would have that the former one has not.

    Args:
        former: KFP's recurring run.
        order: what the other one starts.
        cron: when, as KFP has it.
        experiment: KFP's id of the order's.
    """
    old, new = Package.told(former.pipeline_spec), order.package
    told = former.runtime_config.parameters if former.runtime_config else None
    shown_in = order.experiment if former.experiment_id == experiment else "another"
    cells: list[tuple[str, Any, Any]] = [
        ("cron", from_kubeflow(_cron(former)), from_kubeflow(cron)),
        ("runs at once", str(former.max_concurrency), str(_AT_ONCE)),
        ("missed runs", _MISSED[bool(former.no_catchup)], _MISSED[True]),
        ("experiment", shown_in, order.experiment),
        ("service account", _account(former), order.service_account or _DEFAULT_ACCOUNT),
    ]
    if old is None:
        return [*_differences(cells), "the pipeline, which was uploaded otherwise"]
    before, after = {**old.defaults, **(told or {})}, {**new.defaults, **order.arguments}
    cells.append(("image", ", ".join(old.images), ", ".join(new.images)))
    cells += [(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]
    found = list(_differences(cells))
    if not found and not _same(old, new):
        found.append("the pipeline itself")
    return found


def describe(schedule: Any) -> dict[str, Any]:
    """Returns what `effnet schedule list` tells of one, as JSON values."""
    package = Package.told(schedule.pipeline_spec)
    created = schedule.created_at
    return {
        "name": schedule.display_name,
        "id": schedule.recurring_run_id,
        "cron": from_kubeflow(_cron(schedule)) or None,
        "state": str(schedule.status).lower(),
        "images": [] if package is None else package.images,
        "parameters": (schedule.runtime_config and schedule.runtime_config.parameters) or {},
        "created_at": None if created is None else created.isoformat(),
    }


def _differences(cells: list[tuple[str, Any, Any]]) -> Iterator[str]:
    for what, before, after in cells:
        if before != after:
            yield f"{what}: {_shown(before)} -> {_shown(after)}"


def _shown(value: Any) -> str:
    return "none" if value in (None, "") else str(value)


def _cron(schedule: Any) -> str:
    found = schedule.trigger and schedule.trigger.cron_schedule
    return found.cron if found else ""


def _account(schedule: Any) -> str:
    told = schedule.description or ""
    known = told.startswith(_MADE_WITH)
    return told.removeprefix(_MADE_WITH) if known else schedule.service_account or _DEFAULT_ACCOUNT


def _same(old: Package, new: Package) -> bool:
    """Compares as the API does, to which 1 and 1.0, or an absent and an empty field, are one."""
    from kfp.pipeline_spec import pipeline_spec_pb2 as pb

    def parsed(package: Package) -> tuple[Any, Any]:
        kinds = ((package.spec, pb.PipelineSpec()), (package.platform, pb.PlatformSpec()))
        first, second = (
            json_format.ParseDict(dict(values), kind, ignore_unknown_fields=True)
            for values, kind in kinds
        )
        return first, second

    return parsed(old) == parsed(new)


def _create(kubeflow: Kubeflow, order: Order, cron: str, experiment: str, known: set[str]) -> str:
    """Makes the schedule, switched off, and returns its id."""

    def make(client: Any) -> str:
        made = client.create_recurring_run(
            experiment,
            order.name,
            description=f"{_MADE_WITH}{order.service_account or _DEFAULT_ACCOUNT}",
            cron_expression=cron,
            max_concurrency=_AT_ONCE,
            no_catchup=True,
            params=order.arguments,
            pipeline_package_path=str(order.package.path),
            pipeline_root=order.package.pipeline_root,
            enabled=False,
            service_account=order.service_account,
        )
        return made.recurring_run_id

    def look(client: Any) -> str | None:
        found = _pages(client, kubeflow.namespace, order.name)
        ids = [each.recurring_run_id for each in found]
        return next((each for each in ids if each not in known), None)

    return kubeflow.create(make, look)


def _switch(kubeflow: Kubeflow, schedule_id: str, on: bool) -> None:
    if on:
        kubeflow.ask(lambda client: client.enable_recurring_run(schedule_id))
    else:
        kubeflow.ask(lambda client: client.disable_recurring_run(schedule_id))


def _undo(kubeflow: Kubeflow, new: str, enabled: list[Any], name: str) -> None:
    """Takes the new one away, and only then switches the former one on again."""
    try:
        _delete(kubeflow, new)
        for old in enabled:
            _switch(kubeflow, old.recurring_run_id, on=True)
    except (ClusterError, UnavailableError) as error:
        raise type(error)(
            f"{error}. The schedule '{name}' could neither be replaced nor switched on again: "
            "perhaps none is on now. 'effnet schedule list' shows it; the same command mends it"
        ) from None


def _retire(kubeflow: Kubeflow, old: Any, note: Note) -> None:
    """Deletes a schedule that is switched off, unless that would end a run that it has started.

    Kubernetes deletes with it the workflows that it owns, those at work as well.
    """
    key = old.recurring_run_id

    def at_work(client: Any) -> bool:
        page = client.list_runs(
            experiment_id=old.experiment_id, sort_by="created_at desc", page_size=_PAGE
        )
        own = [run for run in page.runs or [] if run.recurring_run_id == key]
        return any(run.state not in ENDED for run in own)

    if kubeflow.ask(at_work):
        note(
            f"a run of the former schedule '{old.display_name}' ({key}) is at work, and would end "
            "with it: so it stays, switched off, and goes with the next call after that run"
        )
    else:
        _delete(kubeflow, key)


def _delete(kubeflow: Kubeflow, schedule_id: str) -> None:
    # It is gone where only the answer was lost, or somebody else was faster.
    with contextlib.suppress(NotThereError):
        kubeflow.ask(lambda client: client.delete_recurring_run(schedule_id))
