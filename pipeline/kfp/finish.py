"""The last task of a run on a cluster, which runs whatever became of the others.

Each of those leaves what it found in OUTPUT/runs/<run id>/nodes; this one puts that together to the
run's summary, as `effnet run` would have written it, writes the configuration beside it, tells the
webhook, and makes the run's page.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from components.errors import ConfigError
from components.store import Store, StoreError, open_store
from pipeline.comparison_warnings import comparison_warnings
from pipeline.config import PipelineConfig
from pipeline.config_reference import render
from pipeline.kfp.parameters import Run, effective, given_values
from pipeline.kubeflow_config import NODES
from pipeline.layout import CONFIG_FILE, NODES_FOLDER, REPORT_FILE, SUMMARY_FILE
from pipeline.node_facts import NodeRecord, compose
from pipeline.node_records import progress_of, read_records
from pipeline.notify import tell
from pipeline.run_pages import write_pages
from pipeline.summary import Failure, Images, Summary
from pipeline.terminal import make_console
from pipeline.verdict import print_verdict


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the summary and tells the webhook; ends with a fault if the output can't be used."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--json_serialized_invocation_args", required=True, type=json.loads)
    given = parser.parse_args(arguments).json_serialized_invocation_args
    finish(given_values(given))


def finish(values: Mapping[str, Any]) -> Summary:
    """Does it for a run.

    Args:
        values: the task's parameters, as the compiled package gives them.

    Raises:
        StoreError: if the output can't be read or written; the webhook has been told.
    """
    run = Run.of(values)
    config = PipelineConfig.parse_json(run.values["config"])
    folder = open_store(run.output).child("runs", run.id)
    try:
        _write_configuration(config, run, folder)
        summary = summarize(config, run, read_records(folder.child(NODES_FOLDER)))
        folder.write_text(SUMMARY_FILE, summary.to_json() + "\n")
    except StoreError as error:
        lost = Failure(kind="input", message=str(error))
        tell(config, summarize(config, run, [], lost))
        raise
    told = tell(config, summary)
    if told != summary:
        folder.write_text(SUMMARY_FILE, told.to_json() + "\n")
    print_verdict(make_console(sys.stdout), told, None)
    print(f"report: {folder}/{REPORT_FILE}")
    write_pages(run.output, run.id, lambda text: print(text, flush=True))
    return told


def _write_configuration(config: PipelineConfig, run: Run, folder: Store) -> None:
    # A value that can't be used has ended the task that it was for, which says so.
    with contextlib.suppress(ConfigError):
        folder.write_text(CONFIG_FILE, render(effective(config, run)))


def summarize(
    config: PipelineConfig,
    run: Run,
    records: Sequence[NodeRecord],
    failure: Failure | None = None,
) -> Summary:
    """Returns a run's summary.

    Args:
        config: that the package was compiled from.
        run: with the values that were set for it.
        records: what its tasks have left.
        failure: why those can't be read.
    """
    facts = {record.node: record.facts for record in records if record.facts}
    progress = progress_of(records)
    has_verdict = any("verdict" in found for found in facts.values())
    failure = failure or _failure(_planned(config), records, has_verdict)
    outcome = compose(facts, failure)
    if outcome.images == Images():
        outcome = outcome.model_copy(update={"images": Images(**progress.images)})
    return Summary.of(
        outcome,
        run_id=run.id,
        kubeflow_run=run.uuid,
        model=config.serving.model_name,
        backbone=outcome.backbone or run.values.get("backbone", config.trainer.backbone),
        data=run.values.get("data", ""),
        seconds=_seconds(records),
        warnings=(*progress.warnings, *comparison_warnings(config, facts)),
    )


def _planned(config: PipelineConfig) -> list[str]:
    """Returns the nodes of the pipeline, each after those that it needs."""
    off = set()
    if not config.trainer.search.enabled:
        off.add("Tuner")
    if not config.retrain.if_changed:
        off.add("RetrainCheck")
    if not config.serving.check.enabled:
        off.add("ServingValidator")
    return [node for node in NODES if node not in off]


def _failure(
    planned: Sequence[str], records: Sequence[NodeRecord], has_verdict: bool
) -> Failure | None:
    """Tells why a run failed: by a task's own word, or by the one that could say none."""
    for record in records:
        if record.state == "failed":
            error = record.error or Failure(kind="fault", message="it gave no reason")
            return Failure(kind=error.kind, message=f"{record.node}: {error.message}")
    if has_verdict:
        return None
    left = {record.node for record in records}
    # Not the one behind the last that left word: some run beside others.
    silent = next((n for n, node in enumerate(planned) if node not in left), len(planned) - 1)
    message = (
        f"{planned[silent]} left no word of itself: its pod was killed (most often because memory "
        "ran out), was stopped, or never started"
    )
    if silent:
        message += f" (not even, if Kubeflow could not store what {planned[silent - 1]} had made)"
    message += ". Kubeflow's page of the run and the pod's events tell"
    return Failure(kind="fault", message=message)


def _seconds(records: Sequence[NodeRecord]) -> dict[str, float]:
    """Returns what each task took, and all of it with the waiting between: from pod to pod."""
    own = {record.node: round(record.seconds, 3) for record in records}
    ends = [record.started + record.seconds for record in records]
    total = max(ends) - records[0].started if records else 0.0
    return {**own, "total": round(total, 3)}


if __name__ == "__main__":
    main()
