"""What ingestion leaves for the run's report: numbers, and a few images to look at."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, zip_longest

import numpy as np

from components.image_example_gen.checks import RejectedError
from components.image_example_gen.config import DataConfig
from components.image_example_gen.near_duplicates import LookAlikes
from components.image_example_gen.records import Checked, SetAside
from components.image_example_gen.report import Report, rejected_row
from components.image_example_gen.splits import Division
from components.image_example_gen.steps import read_item, threads_for
from components.run_report.parts import DataPart, Histogram, NearDuplicates, Thumbnail
from components.run_report.thumbnails import thumbnail_of

# The same for all data, so that runs compare. What lies beyond counts in the last bin.
_SIDES = (0, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 8192, 65536)
_BYTES = (0, *(1024 * 2**power for power in range(17)))
_BRIGHTNESS = tuple(step / 20 for step in range(21))
_REJECTED = 200
_CONTRADICTORY = 100
_IDS_A_ROW = 20
_PAIRS_SHOWN = 24
_SAMPLE = 96
_SAMPLE_OF_CLASS = 8
_MAX_BYTES = 600_000  # of all thumbnails


def make_part(
    report: Report,
    rejected: Sequence[SetAside],
    division: Division,
    alike: LookAlikes,
    config: DataConfig,
) -> DataPart:
    """Sums up what was found, and reads a few images again to show them.

    Args:
        report: of `report.make_report`.
        rejected: images that were set aside.
        division: which of the others go where.
        alike: which of them look the same.
        config: how they are read.
    """
    facts = [image.facts for image in chain.from_iterable(division.splits.values())]
    pairs, sample = _shown(division, alike, config)
    return DataPart(
        layout=report["layout"],
        span=report["span"] or None,
        images=report["images"],
        official_splits=report["official_splits"],
        grouped=report["grouped"],
        formats=report["formats"],
        widths=_histogram([fact.width for fact in facts], _SIDES),
        heights=_histogram([fact.height for fact in facts], _SIDES),
        file_sizes=_histogram([fact.byte_size for fact in facts], _BYTES),
        brightness=_histogram([fact.brightness for fact in facts], _BRIGHTNESS),
        rejected_count=report["rejected"]["count"],
        rejected_share=report["rejected"]["share"],
        rejected_by_reason=report["rejected"]["by_reason"],
        rejected=tuple(rejected_row(image) for image in rejected[:_REJECTED]),
        copies=len(division.copies),
        dropped=len(division.dropped),
        contradictory=tuple(
            {name: tuple(values[:_IDS_A_ROW]) for name, values in row.items()}
            for row in report["contradictory_labels"][:_CONTRADICTORY]
        ),
        contradictory_count=len(report["contradictory_labels"]),
        across_splits=alike.across,
        within_splits=alike.within,
        near_duplicates=pairs,
        near_duplicate_ids=tuple((p.first.item.id, p.second.item.id) for p in alike.pairs),
        sample=sample,
    )


def _histogram(values: Sequence[float], edges: Sequence[float]) -> Histogram:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return Histogram(edges=tuple(edges), counts=tuple(counts.tolist()))


def _shown(
    division: Division, alike: LookAlikes, config: DataConfig
) -> tuple[tuple[NearDuplicates, ...], tuple[Thumbnail, ...]]:
    """Makes the thumbnails: of pairs first, of the contact sheet as far as there is room."""
    shown = alike.pairs[:_PAIRS_SHOWN]
    of_pairs = [
        known
        for pair in shown
        for known in zip((pair.first, pair.second), pair.splits, strict=True)
    ]
    thumbnails = _thumbnails([*of_pairs, *_sample(division.splits)], config)
    paired, sample = thumbnails[: len(of_pairs)], thumbnails[len(of_pairs) :]
    pairs = tuple(
        NearDuplicates(first=first, second=second, distance=pair.distance)
        for pair, first, second in zip(shown, paired[::2], paired[1::2], strict=True)
    )
    return pairs, tuple(image for image in sample if image.jpeg is not None)


def _sample(splits: Mapping[str, Sequence[Checked]]) -> list[tuple[Checked, str]]:
    """Takes as many of each class as there is room for; of very many classes, the largest."""
    by_class = defaultdict(list)
    for split, images in splits.items():
        for image in images:
            by_class[image.item.label].append((image, split))
    # In order of content, which is random but the same every time.
    queues = [
        sorted(images, key=lambda known: known[0].facts.content_hash)[:_SAMPLE_OF_CLASS]
        for _, images in sorted(by_class.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    ]
    in_turn = [known for turn in zip_longest(*queues) for known in turn if known is not None]
    return sorted(in_turn[:_SAMPLE], key=lambda known: known[0].item.label)


def _thumbnails(images: Sequence[tuple[Checked, str]], config: DataConfig) -> list[Thumbnail]:
    with ThreadPoolExecutor(threads_for([image.item for image, _ in images])) as pool:
        jpegs = list(pool.map(lambda known: _jpeg(known[0], config), images))
    made, size = [], 0
    for (image, split), jpeg in zip(images, jpegs, strict=True):
        size += len(jpeg or "")
        made.append(
            Thumbnail(
                id=image.item.id,
                label=image.item.label,
                split=split,
                jpeg=jpeg if size <= _MAX_BYTES else None,
            )
        )
    return made


def _jpeg(image: Checked, config: DataConfig) -> str | None:
    try:
        _, contents, _ = read_item(image.item, config)
    except (OSError, RejectedError):  # It changed, which the writing of examples will tell.
        return None
    return thumbnail_of(contents)
