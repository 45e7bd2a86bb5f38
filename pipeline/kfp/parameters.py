"""What can be set anew for each run of a compiled package, and how a task takes it.

Each is a parameter of the pipeline with the compiled configuration's value as its default, and is
handed to the tasks that depend on it, beside the parameters of their executors.
"""

import datetime
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from components.errors import ConfigError
from components.evaluator.config import GateConfig, RuleConfig
from components.image_example_gen.config import DataConfig
from components.retrain_check.decision import SETTINGS
from components.store import open_store
from pipeline.config import PipelineConfig
from pipeline.digests import TRAINING, code_digest, file_digest, trained_by
from pipeline.layout import SCHEMA_FOLDER
from trainer.backbones.catalogue import BACKBONES
from trainer.config import TrainConfig

# Parameters of a task that are not its executor's.
PREFIX = "effnet_"
WORKERS = "workers"  # of the Trainer's, where several pods train: the configuration as JSON
_UUID, _CREATED, _OUTPUT = "uuid", "created", "output"
# What the backend replaces, from 2.16 on, where it is the whole value of a constant.
RUN_CONSTANTS = {
    _UUID: "{{$.pipeline_job_uuid}}",
    _CREATED: "{{$.pipeline_job_create_time_utc}}",
}
# Where a data node finds its artifacts, if other machines compute for it.
ARTIFACTS = "artifacts"
TRAINED_BY = "trained_by"  # a property of RetrainCheck, and a fact that the Pusher records
_BOUNDS = ("min", "max", "max_decline")


@dataclass(frozen=True)
class RunParameter:
    """One parameter of the pipeline: a text or a number."""

    name: str
    default: str | float
    nodes: tuple[str, ...]


def run_parameters(config: PipelineConfig) -> list[RunParameter]:
    """Returns what a package compiled from a configuration lets each run set."""
    train, transform = config.trainer, config.transform
    # What a model is trained by is also looked at first, and recorded with a push.
    told = ("RetrainCheck", "Pusher") if config.retrain.if_changed else ("Pusher",)
    training = ("Tuner", "Trainer", *told) if train.search.enabled else ("Trainer", *told)
    found = [
        RunParameter("data", config.kubeflow.data, ("ImageExampleGen", "Pusher")),
        RunParameter("span", config.data.span or "", ("ImageExampleGen",)),
        RunParameter("epochs", _epochs(train), training),
    ]
    if not train.search.enabled:
        resized = transform.image_size is None and train.image_size is None
        nodes = ("Transform", *training) if resized else training
        found.append(RunParameter("backbone", train.backbone, nodes))
    if config.retrain.if_changed:
        force = str(config.retrain.force).lower()
        found.append(RunParameter("force", force, ("RetrainCheck",)))
    bounds = _bounds(config.gate)
    found += [RunParameter(name, float(value), ("Evaluator",)) for name, value in bounds.items()]
    return found


def _epochs(train: TrainConfig) -> str:
    return ",".join(str(stage.epochs) for stage in train.stages)


def _bounds(gate: GateConfig) -> dict[str, float]:
    """Returns every bound of the rules by the name of its parameter."""
    return {
        f"gate_{number}_{rule.metric}_{bound}": getattr(rule, bound)
        for number, rule in enumerate(gate.rules, start=1)
        for bound in _BOUNDS
        if getattr(rule, bound) is not None
    }


@dataclass(frozen=True)
class Run:
    """The run that a task belongs to.

    Attributes:
        id: in the form of `pipeline.layout`, the same in all tasks of a run.
        uuid: KFP's own id of it.
        output: where the serving directory and the runs' folders are.
        values: what was set for this run, by the name of the parameter.
    """

    id: str
    uuid: str
    output: str
    values: Mapping[str, Any]

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Reads what the backend hands to a task.

        Raises:
            ConfigError: if the backend is too old to tell the run.
        """
        own = {
            key.removeprefix(PREFIX): value
            for key, value in parameters.items()
            if key.startswith(PREFIX)
        }
        uuid = own.pop(_UUID)
        return cls(_run_id(uuid, own.pop(_CREATED)), uuid, own.pop(_OUTPUT), own)


def _run_id(uuid: str, created: str) -> str:
    try:
        time = datetime.datetime.fromisoformat(created)
    except ValueError:
        raise ConfigError(
            f"the backend told no time at which the run was created, but '{created}': Kubeflow "
            "Pipelines 2.16 or newer is needed"
        ) from None
    utc = time.astimezone(datetime.UTC)
    return f"{utc:%Y%m%d-%H%M%S}-{id_suffix(uuid)}"


def id_suffix(uuid: str) -> str:
    """Returns how the id of a run ends, by KFP's own id of it."""
    return hashlib.sha256(uuid.encode()).hexdigest()[:4]


def given_values(executor_input: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a task's parameters, by whichever schema the backend gives them."""
    inputs = executor_input.get("inputs", {})
    legacy = {key: next(iter(told.values())) for key, told in inputs.get("parameters", {}).items()}
    return {**legacy, **inputs.get("parameterValues", {})}


def executor_properties(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the properties of a task's executor, as this run wants them.

    Raises:
        ConfigError: if a value set for the run can't be used.
    """
    run = Run.of(parameters)
    found = {key: value for key, value in parameters.items() if not key.startswith(PREFIX)}
    for key, change in _CHANGES.items():
        if key in found:
            found[key] = change(found[key], run)
    return found


def effective(config: PipelineConfig, run: Run) -> PipelineConfig:
    """Returns a compiled configuration with what was set for a run.

    Raises:
        ConfigError: if a value set for the run can't be used.
    """
    values = config.model_dump(mode="json", by_alias=True)
    values["kubeflow"]["data"] = _with_data(config.kubeflow.data, run)
    values["retrain"]["force"] = bool(_with_force(int(config.retrain.force), run))
    values["data"] = json.loads(_with_span(config.data.model_dump_json(by_alias=True), run))
    values["trainer"] = json.loads(_with_training(config.trainer.model_dump_json(), run))
    values["gate"] = json.loads(_with_bounds(config.gate.model_dump_json(by_alias=True), run))
    return PipelineConfig.parse(values)


def _with_data(data_path: str, run: Run) -> str:
    return run.values.get("data", data_path)


def _with_span(text: str, run: Run) -> str:
    config = DataConfig.parse_json(text)
    span = run.values.get("span", "") or None
    return DataConfig.parse({**config.model_dump(), "span": span}).model_dump_json()


def _with_bounds(text: str, run: Run) -> str:
    config = GateConfig.parse_json(text)
    rules = []
    for number, rule in enumerate(config.rules, start=1):
        names = {bound: f"gate_{number}_{rule.metric}_{bound}" for bound in _BOUNDS}
        given = {key: run.values[name] for key, name in names.items() if name in run.values}
        rules.append(RuleConfig.parse({**rule.model_dump(by_alias=True), **given}))
    values = {**config.model_dump(by_alias=True), "rules": rules}
    return GateConfig.parse(values).model_dump_json()


def _with_run_id(_: str, run: Run) -> str:
    return run.id


def _with_custom_config(text: str, run: Run) -> str:
    config = json.loads(text)
    if "facts" in config:
        told = _with_trained_by(config["facts"][TRAINED_BY], run)
        config["facts"] |= {"run_id": run.id, TRAINED_BY: told}
        config["card"]["data"] = _with_data(config["card"]["data"], run)
    if "train_config" in config:
        training = _with_training(config["train_config"], run)
        weights = TrainConfig.parse_json(training).weights
        digests = {"code_digest": code_digest(*TRAINING), "weights_digest": file_digest(weights)}
        config |= {"train_config": training, **digests}
    elif "image_size" in config and "backbone" in run.values:
        backbone = TrainConfig.parse({"backbone": run.values["backbone"]}).backbone
        config["image_size"] = BACKBONES[backbone].image_size
    return json.dumps(config)


def _with_trained_by_text(text: str, run: Run) -> str:
    return json.dumps(_with_trained_by(json.loads(text), run), sort_keys=True)


def _with_trained_by(told: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Returns what a model of this run is trained by, with the image's own code."""
    sections: dict[str, dict[str, Any]] = {"transform": {}, "trainer": {}}
    for path, value in told[SETTINGS].items():
        section, _, name = path.partition(".")
        sections[section][name] = value
    sections["trainer"] = json.loads(_with_training(json.dumps(sections["trainer"]), run))
    return trained_by(PipelineConfig.parse(sections))


def _with_force(compiled: int, run: Run) -> int:
    given = run.values.get("force", str(bool(compiled)).lower())
    if given not in ("true", "false"):
        raise ConfigError(f"force must be true or false, received '{given}'")
    return int(given == "true")


def _with_schema(address: str, run: Run) -> str:
    """Fetches the schema; the one that a person may have accepted need not be there."""
    folder, _, name = address.rpartition("/")
    store = open_store(folder or "/")
    if store.exists(name):
        return str(store.fetch(name, Path(tempfile.mkdtemp())))
    if folder == f"{run.output}/{SCHEMA_FOLDER}":
        return ""
    raise ConfigError(f"schema.path is '{address}', and the task finds no such file there")


def _with_training(text: str, run: Run) -> str:
    values = TrainConfig.parse_json(text).model_dump(mode="json")
    values["backbone"] = run.values.get("backbone", values["backbone"])
    if "epochs" in run.values:
        numbers = _stage_epochs(run.values["epochs"], len(values["stages"]))
        for stage, number in zip(values["stages"], numbers, strict=True):
            stage["epochs"] = number
    return TrainConfig.parse(values).model_dump_json()


def _stage_epochs(text: str, stages: int) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != stages or not all(part.isdecimal() for part in parts):
        raise ConfigError(
            f"epochs: expected a number for each of the {stages} stages, separated by commas, "
            f"received '{text}'"
        )
    return [int(part) for part in parts]


_CHANGES: Mapping[str, Callable[[Any, Run], Any]] = {
    "data_path": _with_data,
    "data_config": _with_span,
    "gate_config": _with_bounds,
    "custom_config": _with_custom_config,
    "run_id": _with_run_id,
    "force": _with_force,
    TRAINED_BY: _with_trained_by_text,
    "schema_file": _with_schema,
}
