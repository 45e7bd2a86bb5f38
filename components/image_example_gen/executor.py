"""Executor of ImageExampleGen."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components import features, learnt_images
from components.errors import DataError
from components.image_example_gen import report as reports
from components.image_example_gen.config import DataConfig, SplitsConfig
from components.image_example_gen.inspection import inspect
from components.image_example_gen.layouts import list_items
from components.image_example_gen.location import Location, locate
from components.image_example_gen.records import Checked
from components.image_example_gen.splits import Division
from components.image_example_gen.steps import write_shard
from components.image_example_gen.work_files import read_lines, write_records

EXAMPLES = "examples"
INGESTION = "ingestion"

_SHARD_IMAGES = 1000
_SHARD_BYTES = 100_000_000
_SHOWN = 5

T = TypeVar("T")


class Executor(base_beam_executor.BaseBeamExecutor):
    """Checks the images of a data path and writes them as tf.Examples, split by split."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs ingestion.

        Args:
          input_dict: empty.
          output_dict: `examples` (Examples, with a folder of TFRecords for each split) and
            `ingestion` (report.json, rejected.jsonl, the table of `components.learnt_images` and
            the part of the run's report).
          exec_properties: `data_path`, and `data_config` and `splits_config` as JSON; where the
            driver has run, also `root`, `span` and `span_name`.

        Raises:
          DataError: if the data can't be trained on; no examples are left then.
        """
        config = DataConfig.parse_json(exec_properties["data_config"])
        splits = SplitsConfig.parse_json(exec_properties["splits_config"])
        examples = artifact_utils.get_single_instance(output_dict[EXAMPLES])
        ingestion = artifact_utils.get_single_instance(output_dict[INGESTION])
        location = _location(exec_properties, config)
        listing = list_items(location.root, config)
        scratch = os.path.join(ingestion.uri, "scratch")
        fileio.makedirs(scratch)
        try:
            found = inspect(location, listing, config, splits, scratch, self._run)
            reports.write_report(ingestion.uri, found.report, found.rejected)
            found.part.leave(ingestion.uri)
            reports.announce(found.report)
            reports.refuse_unusable(found.report, found.rejected, config.max_rejected_share)
            _keep_learnt(Path(ingestion.uri), found.division)
            self._write(found.division.splits, config, scratch, examples)
        finally:
            fileio.rmtree(scratch)
        _describe(examples, location)

    def _write(
        self,
        splits: dict[str, list[Checked]],
        config: DataConfig,
        scratch: str,
        examples: types.Artifact,
    ) -> None:
        """Writes shards of examples on all workers, or none at all."""
        examples.split_names = artifact_utils.encode_split_names(list(features.SPLITS))
        work = []
        for split, images in splits.items():
            folder = artifact_utils.get_split_uri([examples], split)
            fileio.makedirs(folder)
            shards = list(_shards(images))
            for number, shard in enumerate(shards):
                path = os.path.join(scratch, f"{split}-{number:06d}")
                write_records(path, shard)
                # Uncompressed: image formats are compressed already.
                name = f"data_tfrecord-{number:05d}-of-{len(shards):05d}"
                work.append((path, os.path.join(folder, name), f"{path}.changed"))
        self._run("Write", lambda job: write_shard(*job, config), work)
        changed = [image for _, _, result in work for image in read_lines(result)]
        if changed:
            for split in splits:
                fileio.rmtree(artifact_utils.get_split_uri([examples], split))
            raise DataError(
                f"{len(changed)} images changed while they were read "
                f"({', '.join(changed[:_SHOWN])}): run again when nothing writes to the data path"
            )

    def _run(self, name: str, step: Callable[[T], None], work: list[T]) -> None:
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | f"{name}Work" >> beam.Create(work, reshuffle=True)
                | name >> beam.Map(step)
            )


def _location(exec_properties: dict[str, Any], config: DataConfig) -> Location:
    """Takes what the driver resolved; on Kubeflow no driver runs."""
    if exec_properties.get("root"):
        return Location(
            exec_properties["root"], exec_properties["span"], exec_properties["span_name"]
        )
    return locate(exec_properties["data_path"], config.span)


def _keep_learnt(folder: Path, division: Division) -> None:
    images = learnt_images.learnt_images(
        (image.facts.content_hash, image.item.label)
        for split in (features.TRAIN, features.VAL)
        for image in division.splits[split]
    )
    (folder / learnt_images.FILE).write_bytes(learnt_images.to_bytes(images))


def _describe(examples: types.Artifact, location: Location) -> None:
    """Notes on the artifact what TFX's own ExampleGen does: resolvers and readers look for it."""
    examples.span = location.span
    examples.version = 0
    examples.set_int_custom_property("span", location.span)
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")


def _shards(images: list[Checked]) -> Iterator[list[Checked]]:
    """Cuts a split into files that workers write and read side by side."""
    shard: list[Checked] = []
    size = 0
    for image in images:
        if shard and (len(shard) == _SHARD_IMAGES or size >= _SHARD_BYTES):
            yield shard
            shard, size = [], 0
        shard.append(image)
        size += image.facts.byte_size
    if shard:
        yield shard
