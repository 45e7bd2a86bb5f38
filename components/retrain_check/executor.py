"""Decides whether there is anything to learn."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import features, learnt_images
from components.image_example_gen.report import read_report
from components.model_versions import Version
from components.retrain_check import statistics
from components.retrain_check.config import RetrainConfig
from components.retrain_check.decision import (
    FILE,
    REASON_PROPERTY,
    RETRAIN_PROPERTY,
    Decision,
    Finding,
)
from components.retrain_check.findings import Training, look
from components.serving_baseline.executor import VERSION_PROPERTY, has_model

TRAINED_BY = "trained_by"  # parameter, and fact of a version

Inputs = dict[str, list[types.Artifact]]


class Executor(base_executor.BaseExecutor):
    """Reads tables and statistics that are there already.

    It never fails a run in which there is nothing to learn: whoever runs the pipeline reads the
    decision, and runs nothing after it.
    """

    def Do(
        self,
        input_dict: Inputs,
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `decision` artifact.

        Raises:
            DataError: if what was kept with the model that serves is damaged.
        """
        config = RetrainConfig.parse_json(exec_properties["settings"])
        baseline = artifact_utils.get_single_instance(input_dict["baseline"])
        trained_by = json.loads(exec_properties[TRAINED_BY])
        serving = None
        if has_model(baseline):
            number = baseline.get_int_custom_property(VERSION_PROPERTY)
            serving = f"{exec_properties['model_dir']}/{number}"
        findings = _findings(input_dict, baseline, trained_by, config)
        decision = Decision.by(findings, bool(exec_properties["force"]), serving)
        artifact = artifact_utils.get_single_instance(output_dict["decision"])
        text = decision.model_dump_json(indent=2) + "\n"
        (Path(artifact.uri) / FILE).write_text(text, encoding="utf-8")
        artifact.set_int_custom_property(RETRAIN_PROPERTY, int(decision.retrain))
        artifact.set_string_custom_property(REASON_PROPERTY, decision.reason)


def _findings(
    inputs: Inputs, baseline: types.Artifact, trained_by: dict[str, Any], config: RetrainConfig
) -> Iterator[Finding]:
    if not has_model(baseline):
        yield Finding(what="model that serves", found="none yet", pays=True)
        return
    today, served = _today(inputs, trained_by), _served(baseline)
    if served is None:
        found = "pushed without a record of what it has learnt from"
        yield Finding(what="model that serves", found=found, pays=True)
        return
    yield from look(today, served, config)


def _today(inputs: Inputs, trained_by: dict[str, Any]) -> Training:
    ingestion = artifact_utils.get_single_uri(inputs["ingestion"])
    images = learnt_images.read(Path(ingestion))
    assert images is not None, "ingestion always writes it"
    return Training(
        images,
        frozenset(read_report(ingestion)["images"][features.TRAIN]),
        statistics.train_statistics(artifact_utils.get_single_instance(inputs["statistics"])),
        trained_by,
    )


def _served(baseline: types.Artifact) -> Training | None:
    """Returns what is recorded of the model that serves; None where it was pushed without it."""
    version = Version(0, Path(path_utils.serving_model_path(baseline.uri)))
    images = learnt_images.read(version.path / features.EXTRA)
    kept = statistics.read(version.path / features.EXTRA)
    trained_by = version.facts.get(TRAINED_BY)
    if images is None or kept is None or trained_by is None:
        return None
    classes = frozenset(version.training["classes"])
    return Training(images[~images["earlier"]], classes, kept, trained_by)
