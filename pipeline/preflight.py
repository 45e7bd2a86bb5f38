"""What can be said about wrong input in seconds, before TensorFlow is even imported."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import features
from components.errors import ConfigError, DataError, OutputError
from components.evaluator.config import EACH
from components.image_example_gen import data_files
from components.image_example_gen.layouts import list_items
from components.image_example_gen.location import Location, locate
from components.image_example_gen.source import Item, Listing
from components.model_versions import serving_state, serving_version
from pipeline.beam_config import BeamConfig
from pipeline.config import PipelineConfig
from pipeline.layout import Output
from trainer import jax_process
from trainer.config import WEIGHTS

# Known only once the images are opened, or always there.
_MEASURED = frozenset(features.RAW_FEATURES) - {features.LABEL}


def preflight(config: PipelineConfig, data: str, output: Output) -> str:
    """Lists the data and holds the configuration against it.

    Args:
        config: the effective configuration.
        data: the data path, which may hold a placeholder for its span.
        output: where the run will write; it need not be there.

    Returns:
        A line that says what was found.

    Raises:
        DataError: if there is nothing to train on.
        ConfigError: if the gate would judge by something that the data doesn't have, or a file or
            password that the configuration counts on is missing, or training can't begin from the
            model that serves.
        OutputError: if the output would be taken for data, or the record of the model that serves
            is damaged.
        ClusterError: if the cluster that is to serve can't be used as it is set.
    """
    config.metadata.password()
    config.notify.address()
    _check_schema(config)
    check_reachable(config.beam, output.root)
    serving = serving_version(output.serving(config.serving.model_name))
    serving_state(serving)  # Reads its record: damage would show after the training only.
    _check_weights(config, {} if serving is None else serving.training)
    if not data.isascii() and "\\udc" in ascii(data):
        raise DataError("the data path is not valid UTF-8, which TFX needs it to be: rename it")
    found = list_data(config, data, output)
    if config.serving.kubernetes is not None:
        # Imported where it is needed: the Kubernetes client takes a second.
        from components.pusher.inference_service import check_access

        check_access(config.serving.kubernetes)
    return str(found)


@dataclass(frozen=True)
class Found:
    """What a data path stands for now, and what lies there."""

    location: Location
    listing: Listing

    def __str__(self) -> str:
        """Says it in a line."""
        layout, root = self.listing.layout, self.location.root
        what = "shards of TFRecords" if layout == "tfrecord" else "images"
        span = f", span {self.location.span_name}" if self.location.span_name else ""
        return f"found {len(self.listing.items)} {what} ({layout}{span}) in {root}"


def list_data(config: PipelineConfig, data: str, output: Output | None = None) -> Found:
    """Lists the data and holds the gate's rules against it.

    Args:
        config: the effective configuration.
        data: the data path, which may hold a placeholder for its span.
        output: where a run will write; None where none will.

    Raises:
        DataError: if there is nothing to train on.
        ConfigError: if the gate would judge by something that the data doesn't have.
        OutputError: if the output would be taken for data.
    """
    location = locate(data, config.data.span)
    if output is not None:
        _check_apart(location.root, output)
    listing = list_items(location.root, config.data)
    if listing.layout != "tfrecord":  # There, labels and columns are in the records.
        _check_slices(config, listing)
    return Found(location, listing)


def check_reachable(beam: BeamConfig, folder: Path) -> None:
    """Refuses a folder of this machine that the machines which compute couldn't see.

    Raises:
        ConfigError: saying what would do.
    """
    if beam.dataflow:
        raise ConfigError(
            "beam.runner is dataflow, whose machines don't see this one's files: it serves "
            "pipelines that `effnet submit` runs with artifacts in gs://; take local here"
        )
    if beam.job_server and not folder.resolve().is_relative_to(beam.job_server.shared):
        raise ConfigError(
            f"beam.runner is {beam.runner}, whose workers see of this machine's files only "
            f"beam.job_server.shared, '{beam.job_server.shared}', and '{folder}' lies elsewhere: "
            "name a folder in it"
        )


def _check_schema(config: PipelineConfig) -> None:
    path = config.data_schema.path
    if path is not None and not data_files.is_file(path):
        raise ConfigError(
            f"schema.path: there is no file '{path}'; without schema.path the schema kept with "
            "the model that serves is taken, or on the first run the one inferred"
        )


def _check_weights(config: PipelineConfig, serving: Mapping[str, Any]) -> None:
    trainer = config.trainer
    if trainer.hardware.strategy == "workers":
        raise ConfigError(
            "trainer.hardware.strategy: 'workers' needs several processes that run "
            "trainer.run.run_fn; this command runs one: take auto, mirrored or one_device"
        )
    if trainer.hardware.backend == "jax":
        jax_process.check_installed()
    if trainer.weights not in WEIGHTS and not Path(trainer.weights).is_file():
        raise ConfigError(f"trainer.weights: there is no file '{trainer.weights}'")
    if trainer.warm_start == "serving":
        backbone = serving.get("backbone")
        if backbone not in (None, trainer.backbone):
            raise ConfigError(
                f"trainer.warm_start: the model that serves is an {backbone}, not an "
                f"{trainer.backbone}; set trainer.backbone to the former, or warm_start to none"
            )


def _check_apart(root: str, output: Output) -> None:
    """The next run would list what this one writes."""
    if output.root.resolve().is_relative_to(root):
        raise OutputError(
            f"the output folder '{output.root}' lies in the data path '{root}', where its files "
            "would be taken for data; name one outside with --output"
        )


def _check_slices(config: PipelineConfig, listing: Listing) -> None:
    """A rule on a slice that has no image can't pass, which would show after the training only."""
    columns = {features.LABEL, *(name for item in listing.items for name in item.extra)}
    for column in config.gate.slices:
        _check_column("gate.slices", column, columns)
    for number, rule in enumerate(config.gate.rules):
        for column, value in rule.slice.items():
            where = f"gate.rules.{number}.slice"
            _check_column(where, column, columns)
            if column not in _MEASURED and value != EACH:
                values = {_value(item, column) for item in listing.items}
                _check_known(where, value, values, f"no image has {column} =")
    _check_classes(config, {item.label for item in listing.items})


def _check_classes(config: PipelineConfig, classes: Collection[str]) -> None:
    for number, rule in enumerate(config.gate.rules):
        if rule.of_class not in (None, EACH):
            where = f"gate.rules.{number}.class"
            _check_known(where, rule.of_class, classes, "no image has label =")
        if rule.metric == "top_k_accuracy" and rule.k >= len(classes):
            raise ConfigError(
                f"gate.rules.{number}.k: {rule.k} of {len(classes)} classes, so no answer could be "
                f"wrong; take less than {len(classes)}"
            )
    order = config.gate.class_order
    missing = sorted(set(classes) - set(order)) if order is not None else []
    if missing:
        raise ConfigError(
            f"gate.class_order lacks the class '{missing[0]}'; it must name all: "
            f"{', '.join(sorted(classes)[:20])}"
        )


def _check_column(where: str, column: str, columns: Collection[str]) -> None:
    if column not in _MEASURED:
        _check_known(where, column, columns, "the data has no column")


def _check_known(where: str, name: str, known: Collection[str], problem: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    some = ", ".join(sorted(known)[:10])
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {some}"
    raise ConfigError(f"{where}: {problem} '{name}'; {hint}")


def _value(item: Item, column: str) -> str:
    return item.label if column == features.LABEL else item.extra.get(column, "")
