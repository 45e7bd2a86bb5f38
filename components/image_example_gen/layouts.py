"""Tells the layout of a data path and lists its items."""

import os
from collections.abc import Callable

from components.errors import DataError
from components.image_example_gen import data_files
from components.image_example_gen.config import DataConfig
from components.image_example_gen.manifest import list_manifest, read_header
from components.image_example_gen.source import (
    IMAGE_SUFFIXES,
    SPLIT_FOLDERS,
    TFRECORD_SUFFIXES,
    FoundFile,
    Item,
    Listing,
    check_labels,
    ignored_suffixes,
)

_CHOICES = "data.layout: folders, split_folders, csv or tfrecord"


def list_items(root: str, config: DataConfig) -> Listing:
    """Lists the labelled images below a root.

    Args:
      root: absolute path with symlinks resolved, or an address: a folder, or a CSV manifest in
        its folder.
      config: layout (or auto), field names, class names.

    Returns:
      The items in an order that depends on their names only.

    Raises:
      DataError: if there is nothing to train on, or it contradicts itself.
    """
    if data_files.is_file(root):
        if not root.lower().endswith(".csv"):
            raise DataError(f"{root} is a file: give a folder, or a CSV manifest")
        config = config.model_copy(update={"layout": "csv", "manifest": os.path.basename(root)})
        root = os.path.dirname(root)
    files = data_files.list_files(root)
    if not files:
        raise DataError(f"{root} holds no files: {_expected()}")
    layout = config.layout if config.layout != "auto" else _detect(root, files, config)
    listers: dict[str, Callable[[str, list[FoundFile], DataConfig], Listing]] = {
        "folders": _list_folders,
        "split_folders": _list_split_folders,
        "csv": list_manifest,
        "tfrecord": _list_tfrecords,
    }
    listing = listers[layout](root, files, config)
    if layout != "tfrecord":  # There the labels are in the records.
        check_labels({item.label for item in listing.items})
    return listing


def _expected() -> str:
    images = ", ".join(sorted(IMAGE_SUFFIXES))
    return (
        f"expected images ({images}) in a folder for each class, these under train, val and "
        "test, a CSV manifest, or TFRecords"
    )


def _detect(root: str, files: list[FoundFile], config: DataConfig) -> str:
    images = [file for file in files if file.is_image]
    manifests = [file.relative for file in files if _is_manifest(file)]
    in_folders = any("/" in file.relative for file in images)
    if config.manifest or _fitting(root, manifests, config):
        return "csv"
    if any(file.is_tfrecord for file in files):
        if images:
            raise DataError(f"{root} holds both TFRecords and image files: set {_CHOICES}")
        return "tfrecord"
    if manifests and in_folders:
        missing = ", ".join(map(repr, _missing_columns(root, manifests[0], config)))
        raise DataError(
            f"{root} holds class folders and {manifests[0]}, which has no column {missing}: name "
            f"the columns in data.fields, or set {_CHOICES}"
        )
    if manifests:
        return "csv"
    return "split_folders" if _has_official_splits(root, images) else "folders"


def _is_manifest(file: FoundFile) -> bool:
    return file.suffix == ".csv" and "/" not in file.relative


def _fitting(root: str, manifests: list[str], config: DataConfig) -> bool:
    return any(not _missing_columns(root, name, config) for name in manifests)


def _missing_columns(root: str, manifest: str, config: DataConfig) -> list[str]:
    found = read_header(os.path.join(root, manifest))
    return [name for name in (config.fields.image, config.fields.label) if name not in found]


def _has_official_splits(root: str, images: list[FoundFile]) -> bool:
    """True if all folders are named as splits and hold class folders, not images, themselves."""
    parts = [file.relative.split("/") for file in images]
    tops = {path[0] for path in parts if len(path) > 1}
    named = {top for top in tops if top.lower() in SPLIT_FOLDERS}
    nested = bool(named) and all(len(path) > 2 for path in parts if path[0] in named)
    if nested and named != tops and len(named) > 1:
        raise DataError(
            f"{root} holds folders of splits ({', '.join(sorted(named))}) beside others "
            f"({', '.join(sorted(tops - named)[:5])}): set {_CHOICES}, or move the others away"
        )
    return nested and named == tops


def _list_folders(root: str, files: list[FoundFile], config: DataConfig) -> Listing:
    return _list_by_depth(root, files, "folders")


def _list_split_folders(root: str, files: list[FoundFile], config: DataConfig) -> Listing:
    tops = {file.relative.split("/")[0] for file in files if file.is_image}
    unknown = sorted(top for top in tops if top.lower() not in SPLIT_FOLDERS)
    if unknown:
        raise DataError(
            f"{root} holds images under {', '.join(unknown[:5])}: the folders of splits are "
            f"named {', '.join(SPLIT_FOLDERS)}"
        )
    return _list_by_depth(root, files, "split_folders")


def _list_by_depth(root: str, files: list[FoundFile], layout: str) -> Listing:
    """Takes the label from the folder below the root, or below the split's folder."""
    depth = 1 if layout == "split_folders" else 0
    items, ignored = [], []
    for file in files:
        parts = file.relative.split("/")
        if not file.is_image or len(parts) < depth + 2:
            ignored.append(file)
            continue
        split = SPLIT_FOLDERS[parts[0].lower()] if depth else None
        items.append(_item(file, parts[depth], split))
    if not items:
        counts = ", ".join(f"{name} ({n})" for name, n in ignored_suffixes(ignored).items())
        raise DataError(f"{root} holds no images in class folders, only {counts}: {_expected()}")
    return Listing(layout, tuple(items), ignored_suffixes(ignored))


def _item(file: FoundFile, label: str, split: str | None) -> Item:
    return Item(
        id=file.relative,
        path=file.path,
        label=label,
        split=split,
        size=file.size,
        mtime_ns=file.mtime_ns,
    )


def _list_tfrecords(root: str, files: list[FoundFile], config: DataConfig) -> Listing:
    """Lists shards; a shard under a folder named as a split belongs to that split."""
    shards = [file for file in files if file.is_tfrecord]
    if not shards:
        raise DataError(
            f"{root} holds no TFRecords (files named *{', *'.join(TFRECORD_SUFFIXES)}, with or "
            "without .gz)"
        )
    items = tuple(
        _item(file, "", SPLIT_FOLDERS.get(file.relative.split("/")[0].lower())) for file in shards
    )
    return Listing("tfrecord", items, ignored_suffixes([f for f in files if not f.is_tfrecord]))
