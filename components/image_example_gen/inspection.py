"""Looks at every image of a data path: what ingestion does before it writes anything."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from components.image_example_gen import report as reports
from components.image_example_gen import tfrecords
from components.image_example_gen.config import DataConfig, SplitsConfig
from components.image_example_gen.data_part import make_part
from components.image_example_gen.location import Location
from components.image_example_gen.near_duplicates import look_alikes
from components.image_example_gen.records import Checked, SetAside
from components.image_example_gen.source import Item, Listing
from components.image_example_gen.splits import Division, divide
from components.image_example_gen.steps import check_items
from components.image_example_gen.work_files import read_records, write_items
from components.run_report.parts import DataPart

_ITEMS_A_CHUNK = 256

T = TypeVar("T")


class RunStep(Protocol):
    """Does a named step for each piece of work, in this process or on workers."""

    def __call__(self, name: str, step: Callable[[T], None], work: list[T], /) -> None:
        """Returns when all of it is done."""


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
      rejected: images that can't be used.
      division: which of the others go where.
      report: of `report.make_report`.
      part: of the run's report, with thumbnails.
    """

    rejected: list[SetAside]
    division: Division
    report: reports.Report
    part: DataPart


def run_here(name: str, step: Callable[[T], None], work: list[T]) -> None:
    """Does the work in this process; the steps use all its cores themselves."""
    for job in work:
        step(job)


def inspect(
    location: Location,
    listing: Listing,
    config: DataConfig,
    splits: SplitsConfig,
    scratch: str,
    run: RunStep,
) -> Inspection:
    """Opens every image once, divides them, and looks for copies and for look-alikes.

    Args:
      location: of the data.
      listing: what lies there.
      config: limits, field names, class names, and which images look the same.
      splits: shares and salt.
      scratch: folder for work files, which all workers reach; the caller removes it.
      run: what does the work; `run_here`, or Beam's workers.

    Raises:
      DataError: if a file of TFRecords is damaged, or a group has images in several official
        splits. What else makes data unusable, `report.refuse_unusable` tells.
    """
    work: list[tuple[str, str]] = []
    for number, chunk in enumerate(_chunks(_single_items(listing, scratch), _ITEMS_A_CHUNK)):
        path = os.path.join(scratch, f"check-{number:06d}")
        write_items(path, chunk)
        work.append((path, f"{path}.result"))
    run("Check", lambda job: check_items(*job, config), work)
    records = [record for _, result in work for record in read_records(result)]
    images = [record for record in records if isinstance(record, Checked)]
    rejected = [record for record in records if isinstance(record, SetAside)]
    division = divide(images, splits)
    alike = look_alikes(division.splits, config.near_duplicate_distance)
    report = reports.make_report(location, listing, rejected, division, alike)
    return Inspection(
        rejected, division, report, make_part(report, rejected, division, alike, config)
    )


def _single_items(listing: Listing, scratch: str) -> Iterable[Item]:
    if listing.layout != "tfrecord":
        return listing.items
    shards = (tfrecords.list_records(shard, scratch) for shard in listing.items)
    return itertools.chain.from_iterable(shards)


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
