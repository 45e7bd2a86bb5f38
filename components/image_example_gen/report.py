"""What ingestion found, as a report for people and machines, and what of it ends the run."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tfx.dsl.io import fileio

from components import features, run_events
from components.errors import DataError
from components.image_example_gen.location import Location
from components.image_example_gen.near_duplicates import LookAlikes
from components.image_example_gen.records import REJECTED_FILE, Checked, SetAside
from components.image_example_gen.source import Listing, check_labels
from components.image_example_gen.splits import Division
from components.image_example_gen.work_files import write_lines
from components.run_report import parts

REPORT_FILE = "report.json"
_SHOWN = 5

Report = dict[str, Any]


def make_report(
    location: Location,
    listing: Listing,
    rejected: list[SetAside],
    division: Division,
    look_alikes: LookAlikes,
) -> Report:
    """Sums up what was found, as JSON values.

    layout, span; official_splits: those that the data names; grouped: count of images with a group;
    images: split -> class -> count; formats: format -> count; exif_rotated: count;
    rejected: count, share in [0, 1], by_reason;
    copies: sets of ids of the same content, with the ids that were dropped from a lesser split;
    contradictory_labels: ids and labels of the same content;
    near_duplicates: pairs that look the same, counted across_splits and within_splits, with the
    ids of the first 10,000; ignored: suffix -> count of files; renamed: column -> feature.
    """
    kept = [image for images in division.splits.values() for image in images]
    total = len(kept) + len(division.dropped) + len(rejected)
    dropped = set(division.dropped)
    return {
        "layout": listing.layout,
        "span": location.span_name,
        "official_splits": sorted({image.item.split for image in kept if image.item.split}),
        "grouped": sum(bool(image.item.group) for image in kept),
        "images": {
            split: dict(sorted(Counter(image.item.label for image in images).items()))
            for split, images in division.splits.items()
        },
        "formats": dict(Counter(image.facts.format for image in kept).most_common()),
        "exif_rotated": sum(image.facts.rotated for image in kept),
        "rejected": {
            "count": len(rejected),
            "share": len(rejected) / total if total else 0.0,
            "by_reason": dict(Counter(image.reason for image in rejected).most_common()),
        },
        "copies": [
            {
                "ids": [image.item.id for image in same],
                "dropped": [image.item.id for image in same if image in dropped],
            }
            for same in division.copies
        ],
        "contradictory_labels": _contradictions(division.copies),
        "near_duplicates": {
            "across_splits": look_alikes.across,
            "within_splits": look_alikes.within,
            "pairs": [[pair.first.item.id, pair.second.item.id] for pair in look_alikes.pairs],
        },
        "ignored": dict(listing.ignored),
        "renamed": dict(listing.renamed),
    }


def write_report(folder: str, report: Report, rejected: list[SetAside]) -> None:
    """Writes `report.json` and `rejected.jsonl` (id, label, reason and detail a line)."""
    rows = [rejected_row(image) for image in rejected]
    write_lines(os.path.join(folder, REJECTED_FILE), rows)
    with fileio.open(os.path.join(folder, REPORT_FILE), "w") as file:
        file.write(json.dumps(report, indent=1, ensure_ascii=False))
    run_dir = run_events.run_dir()
    if run_dir is not None:
        # TFX deletes the outputs of a node that fails, just when a person needs this one.
        write_lines(str(run_dir / REJECTED_FILE), rows)


def rejected_row(image: SetAside) -> dict[str, str]:
    """Returns what is said of an image that was set aside."""
    item = image.item
    return {"id": item.id, "label": item.label, "reason": image.reason, "detail": image.detail}


def read_report(folder: str) -> Report:
    """Reads the `report.json` that `write_report` wrote."""
    with fileio.open(os.path.join(folder, REPORT_FILE), "r") as file:
        return json.loads(file.read())


def tell_again(folder: str) -> None:
    """Tells a run that takes ingestion from the cache what it told the run that it ran in."""
    announce(read_report(folder))
    parts.tell_again(folder)
    run_dir = run_events.run_dir()
    if run_dir is not None:
        fileio.copy(
            os.path.join(folder, REJECTED_FILE), str(run_dir / REJECTED_FILE), overwrite=True
        )


def announce(report: Report) -> None:
    """Tells the run how many images there are, and what a person should look at."""
    counts = {split: sum(classes.values()) for split, classes in report["images"].items()}
    dropped = sum(len(same["dropped"]) for same in report["copies"])
    run_events.record("images", **counts, rejected=report["rejected"]["count"], dropped=dropped)
    if report["rejected"]["count"]:
        run_events.warn(f"{_rejected_text(report)}, see {REJECTED_FILE}")
    for text in warnings(report):
        run_events.warn(text)


def warnings(report: Report) -> Iterator[str]:
    """Yields what a person should look at, apart from the images that were set aside."""
    if report["exif_rotated"]:
        yield (
            f"{report['exif_rotated']} images have an EXIF orientation that isn't upright: it is "
            "ignored in training and in serving alike, so the model sees them as they are stored"
        )
    if webp := report["formats"].get("webp"):
        yield (
            f"{webp} images are WebP, which TensorFlow has learnt to decode only lately: make sure "
            "that the model server can, or convert them"
        )
    if report["contradictory_labels"]:
        shown = "; ".join(
            f"{', '.join(same['ids'])} as {', '.join(same['labels'])}"
            for same in report["contradictory_labels"][:_SHOWN]
        )
        count = len(report["contradictory_labels"])
        have = "content has" if count == 1 else "contents have"
        yield f"{count} {have} contradictory labels: {shown}"
    if dropped := sum(len(same["dropped"]) for same in report["copies"]):
        yield (
            f"{dropped} images were dropped because a copy of them is in a split that judges "
            "(test over val over train)"
        )
    if across := report["near_duplicates"]["across_splits"]:
        yield (
            f"{across} pairs of images that look the same lie in different splits (e.g. "
            f"{' | '.join(report['near_duplicates']['pairs'][0])}): the test split then measures "
            "less than it seems; give them a group"
        )
    for column, feature in report["renamed"].items():
        yield f"column {column!r} is kept as {feature!r}, as its name is taken"


def refuse_unusable(report: Report, rejected: list[SetAside], max_rejected_share: float) -> None:
    """Ends the run if too much was set aside, or too little is left.

    Raises:
      DataError: naming the share and the limit, the reasons and the first images set aside; or
        the split that is empty; or the only class.
    """
    if report["rejected"]["share"] > max_rejected_share:
        first = "; ".join(f"{r.item.id}: {r.reason}, {r.detail}" for r in rejected[:_SHOWN])
        raise DataError(
            f"{_rejected_text(report)}, more than the limit of {max_rejected_share:.1%} "
            f"(data.max_rejected_share): {first}. Mend or remove "
            "them, or raise the limit"
        )
    check_labels({label for classes in report["images"].values() for label in classes})
    empty = [split for split in features.SPLITS if not report["images"][split]]
    if empty:
        counts = {split: sum(report["images"][split].values()) for split in features.SPLITS}
        raise DataError(
            f"no images for {' and '.join(empty)} ({counts}): add images (or groups), change the "
            "shares in splits, or correct the official splits"
        )


def _rejected_text(report: Report) -> str:
    rejected = report["rejected"]
    reasons = ", ".join(f"{reason}: {count}" for reason, count in rejected["by_reason"].items())
    return f"{rejected['count']} images ({rejected['share']:.1%}) were set aside ({reasons})"


def _contradictions(copies: list[list[Checked]]) -> list[dict[str, list[str]]]:
    found = []
    for same in copies:
        labels = sorted({image.item.label for image in same})
        if len(labels) > 1:
            found.append({"ids": [image.item.id for image in same], "labels": labels})
    return found
