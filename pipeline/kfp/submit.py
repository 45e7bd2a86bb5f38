"""Starts a run on a cluster, and learns what became of it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from components.errors import ClusterError
from components.store import StoreError, open_store
from pipeline.kfp.client import Kubeflow, UnavailableError
from pipeline.kfp.package import Package
from pipeline.kfp.parameters import id_suffix
from pipeline.layout import SUMMARY_FILE, new_run_id
from pipeline.summary import Failure, Summary

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
_EQUALS = 1  # as the filters of KFP's API number it
_POLL_SECONDS = 10.0
_MAX_OUTAGES = 30  # in a row; with the pauses of each, some ten minutes
_MAX_MESSAGE = 2000

Note = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What a run, or a schedule of runs, is made of.

    Attributes:
        package: the compiled pipeline, from a file.
        arguments: values of its parameters that differ from the defaults.
        name: that people see.
        experiment: where KFP shows it; made if it is not there.
        service_account: that its pods run as; None: KFP's own for pipelines.
    """

    package: Package
    arguments: dict[str, Any]
    name: str
    experiment: str
    service_account: str | None = None


def named(name: str) -> str:
    """Returns a filter of KFP's API: whatever is shown by this name."""
    predicate = {"operation": _EQUALS, "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def experiment_id(kubeflow: Kubeflow, name: str) -> str:
    """Returns the id of an experiment, which is made if it is not there."""
    found = kubeflow.ask(lambda client: client.create_experiment(name, None, kubeflow.namespace))
    return found.experiment_id


def start(kubeflow: Kubeflow, order: Order) -> str:
    """Starts a run, exactly one, and returns KFP's id of it.

    Raises:
        ClusterError: if Kubeflow refuses, naming the mend.
        UnavailableError: if it stays unavailable.
    """
    experiment = experiment_id(kubeflow, order.experiment)
    name = f"{order.name} {new_run_id()}"  # unique, so that it can be looked for

    def make(client: Any) -> str:
        run = client.run_pipeline(
            experiment,
            name,
            pipeline_package_path=str(order.package.path),
            params=order.arguments,
            pipeline_root=order.package.pipeline_root,
            service_account=order.service_account,
        )
        return run.run_id

    def find(client: Any) -> str | None:
        found = client.list_runs(experiment_id=experiment, filter=named(name)).runs
        return found[0].run_id if found else None

    return kubeflow.create(make, find)


def wait(kubeflow: Kubeflow, run_id: str, note: Note) -> Any:
    """Waits until a run has ended, over outages of some minutes as well.

    Returns:
        KFP's run.

    Raises:
        ClusterError: if Kubeflow no longer lets us ask.
        UnavailableError: if it stays unavailable.
    """
    state, outages = "", 0
    while True:
        try:
            run = kubeflow.ask(lambda client: client.get_run(run_id))
        except ClusterError as error:
            raise ClusterError(f"{error}. The run itself goes on") from None
        except UnavailableError as error:
            outages += 1
            if outages >= _MAX_OUTAGES:
                raise UnavailableError(f"{error}. The run itself goes on") from None
            note(f"{error}; the run goes on, and is asked for again")
        else:
            outages = 0
            if run.state and run.state != state:
                state = run.state
                note(f"state {state.lower()}")
            if state in ENDED:
                return run
        time.sleep(_POLL_SECONDS)


def read_summary(output: str, run_id: str) -> Summary | None:
    """Reads what the run's last task wrote.

    Args:
        output: address of the output folder.
        run_id: KFP's.

    Raises:
        StoreError: if the output can't be read from here.
    """
    runs = open_store(output).child("runs")
    suffix = f"-{id_suffix(run_id)}"
    for name in reversed(runs.names()):
        if name.endswith(suffix):
            text = runs.child(name).read_text(SUMMARY_FILE)
            summary = _parsed(text)
            if summary is not None and summary.kubeflow_run == run_id:
                return summary
    return None


def failure_of(run: Any) -> Failure | None:
    """Returns why an ended run failed, as far as KFP knows; None of one that ended well.

    Whether that one pushed anything KFP can't tell: a refusal is a good end, too.
    """
    if run.state == "SUCCEEDED":
        return None
    if run.state != "FAILED":
        return Failure(kind="fault", message=f"the run was {run.state.lower()} on the cluster")
    tasks = (run.run_details and run.run_details.task_details) or []
    failed = sorted({task.display_name for task in tasks if task.state == "FAILED"})
    errors = [run.error, *(entry.error for entry in run.state_history or [])]
    reasons = [error.message for error in errors if error and error.message][:1]
    told = [f"tasks {', '.join(failed)}"] * bool(failed) + reasons
    message = "; ".join(["the run failed on the cluster", *told])
    return Failure(kind="fault", message=message[:_MAX_MESSAGE])


def readable(output: str) -> str | None:
    """Returns why an output can't be read from here; None if it can."""
    if not output:
        return "no output folder is named (kubeflow.output)"
    try:
        found = open_store(output).names()
    except StoreError as error:
        return str(error)
    return None if found else f"'{output}' is empty, or not there on this machine"


def _parsed(text: str | None) -> Summary | None:
    try:
        return None if text is None else Summary.model_validate_json(text)
    except ValidationError:
        return None
