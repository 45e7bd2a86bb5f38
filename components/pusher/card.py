"""The facts of a model's card, from what the nodes before the push have left."""

import hashlib
import importlib.metadata
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from tfx import types
from tfx.types import artifact_utils

from components.evaluator.measured import OVERALL, read_metrics
from components.evaluator.verdict import FILE as VERDICT_FILE
from components.evaluator.verdict import Verdict
from components.image_example_gen.report import REPORT_FILE
from components.model_versions import read_training
from components.pusher.kept import INGESTION
from components.retrain_check.decision import SETTINGS
from components.retrain_check.executor import TRAINED_BY
from components.run_report.card_config import CardConfig
from components.run_report.model_card import CardFacts, Group
from components.run_report.parts import FOLDER, DataPart, EvaluationPart, Part, TrainingPart
from components.serving_validator.report import FILE as SERVING_FILE
from components.serving_validator.report import ServingReport

# Among the Pusher's inputs.
EVALUATION = "evaluation"
MODEL_RUN = "model_run"
INFRA_BLESSING = "infra_blessing"
# Within its settings of the card, beside those of CardConfig.
NAME, DATA, WORDS = "name", "data", "words"

_LIBRARIES = ("effnet-tfx", "tfx", "tensorflow", "keras")
_USER_INFO = re.compile(r"://[^/\s]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)

Inputs = dict[str, list[types.Artifact]]
P = TypeVar("P", bound=Part)


def card_facts(
    inputs: Inputs, model: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]
) -> CardFacts:
    """Gathers what a card is made of; what older artifacts lack is left out.

    Args:
        inputs: the Pusher's.
        model: the SavedModel that is pushed.
        settings: the model's name, where its images are from, and people's words.
        facts: recorded with the version: the run, and what the model was trained by.
    """
    folder = {name: _folder(inputs, name) for name in (INGESTION, EVALUATION, MODEL_RUN)}
    trained_by = facts.get(TRAINED_BY, {})
    serving = _text(_folder(inputs, INFRA_BLESSING), SERVING_FILE)
    metrics, groups = measured(inputs)
    return CardFacts(
        name=settings[NAME],
        run_id=facts["run_id"],
        config=CardConfig.parse(settings[WORDS]),
        data=without_secrets(settings[DATA]),
        digest=hashlib.sha256(json.dumps(trained_by, sort_keys=True).encode()).hexdigest(),
        seed=trained_by.get(SETTINGS, {}).get("trainer.seed"),
        versions=_versions(),
        training=read_training(model),
        ingestion=json.loads(_text(folder[INGESTION], REPORT_FILE) or "{}"),
        verdict=_verdict(Path(artifact_utils.get_single_uri(inputs[EVALUATION]))),
        metrics=metrics,
        groups=groups,
        serving=ServingReport.model_validate_json(serving) if serving else None,
        found=_part(folder[INGESTION], DataPart),
        trained=_part(folder[MODEL_RUN], TrainingPart),
        evaluation=_part(folder[EVALUATION], EvaluationPart),
    )


def measured(inputs: Inputs) -> tuple[dict[str, float | None], tuple[Group, ...]]:
    """Returns what was measured on all test images, and the accuracy on each group of them.

    None where a metric has no value.
    """
    uri = artifact_utils.get_single_uri(inputs[EVALUATION])
    found, _ = read_metrics(uri)
    overall = {**found[OVERALL], **_verdict(Path(uri)).metrics}
    groups = tuple(
        Group(*part[0], images=int(metrics["examples"]), accuracy=_finite(metrics.get("accuracy")))
        for part, metrics in sorted(found.items())
        if len(part) == 1
    )
    return {name: _finite(value) for name, value in overall.items()}, groups


def _verdict(evaluation: Path) -> Verdict:
    return Verdict.read((evaluation / VERDICT_FILE).read_text(encoding="utf-8"))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _folder(inputs: Inputs, name: str) -> Path | None:
    return Path(artifact_utils.get_single_uri(inputs[name])) if inputs.get(name) else None


def _text(folder: Path | None, name: str) -> str | None:
    file = None if folder is None else folder / name
    return file.read_text(encoding="utf-8") if file is not None and file.is_file() else None


def _part(folder: Path | None, kind: type[P]) -> P | None:
    return kind.parse(_text(folder, f"{FOLDER}/{kind.file()}"))


def without_secrets(address: str) -> str:
    """Returns an address without what may be a password or a signature in it."""
    return _QUERY.sub("", _USER_INFO.sub("://***@", address)) if "://" in address else address


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
