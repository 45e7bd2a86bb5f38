"""Finds the folder that a data path with {SPAN} or a date in it stands for."""

import datetime
import os
import re
from dataclasses import dataclass

from components.errors import ConfigError, DataError
from components.image_example_gen import data_files
from components.store import is_remote

_PLACEHOLDERS = {
    "SPAN": r"\d+",
    "DATE": r"\d{4}-\d{2}-\d{2}|\d{8}",
    "YYYY": r"\d{4}",
    "MM": r"\d{2}",
    "DD": r"\d{2}",
}
_PLACEHOLDER = re.compile(r"\{(" + "|".join(_PLACEHOLDERS) + r")\}")
_EPOCH = datetime.date(1970, 1, 1)
_SHOWN = 10


@dataclass(frozen=True)
class Location:
    """Where the data lies.

    Attributes:
      root: absolute path with symlinks resolved: a folder, or a CSV manifest.
      span: number of the span; for dates the days since 1970-01-01, as TFX counts them; 0 where
        the data path has no placeholder.
      span_name: the span as a person writes it ("12", "2026-11-24"), empty where there is none.
    """

    root: str
    span: int = 0
    span_name: str = ""


def locate(data_path: str, span: str | None = None) -> Location:
    """Resolves a data path to what is there now.

    Args:
      data_path: a local path, or an address on S3 or GCS, whose parts may hold {SPAN} (digits),
        or {DATE} (2026-11-24 or 20261124), or {YYYY}, {MM} and {DD}.
      span: the span to take, as digits or as a date; by default the newest.

    Raises:
      ConfigError: if the placeholders don't fit together or `span` doesn't fit them.
      DataError: if nothing is there.
      StoreError: if it is an address that can't be used.
    """
    used = set(_PLACEHOLDER.findall(data_path))
    if not used:
        return _plain(data_path, span)
    if ("SPAN" in used) + ("DATE" in used) + bool(used & {"YYYY", "MM", "DD"}) > 1:
        raise ConfigError(
            f"data path {data_path} mixes placeholders: use {{SPAN}}, or {{DATE}}, or {{YYYY}} "
            "with {MM} and {DD}"
        )
    if ("MM" in used and "YYYY" not in used) or ("DD" in used and "MM" not in used):
        raise ConfigError(f"data path {data_path} has a month or day without what it belongs to")
    return _choose(data_path, _candidates(data_path), span)


def _plain(data_path: str, span: str | None) -> Location:
    if span is not None:
        raise ConfigError(
            f"a span is set ({span}), but the data path {data_path} has no {{SPAN}} or date in it"
        )
    root = data_files.resolve(data_path)
    if not data_files.exists(root):
        raise DataError(f"data path {data_path} doesn't exist (looked at {root})")
    return Location(root)


def _choose(data_path: str, found: list[Location], span: str | None) -> Location:
    if not found:
        raise DataError(f"nothing matches the data path {data_path}")
    newest = max(found, key=lambda location: location.span)
    if span is None:
        return newest
    wanted = {_number("SPAN" if "{SPAN}" in data_path else "DATE", span)}
    for location in found:
        if location.span in wanted:
            return location
    names = sorted((location.span_name for location in found), reverse=True)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise DataError(
        f"span {span} isn't there: {data_path} matches {', '.join(names[:_SHOWN])}{more}"
    )


def _candidates(data_path: str) -> list[Location]:
    """Walks the path part by part, following each part that matches."""
    start, parts = _start(data_path)
    paths: list[tuple[str, dict[str, str]]] = [(start, {})]
    for part in parts:
        paths = [
            (os.path.join(parent, name), values | more)
            for parent, values in paths
            for name, more in _matches(parent, part)
        ]
    found = []
    for path, values in paths:
        name = values.get("SPAN") or values.get("DATE") or _joined_date(values)
        try:
            number = _number("SPAN" if "SPAN" in values else "DATE", name)
        except ConfigError:
            continue  # Eight digits that are no date.
        shown = name if "SPAN" in values else _date(name).isoformat()
        found.append(Location(data_files.resolve(path), number, shown))
    return found


def _matches(parent: str, part: str) -> list[tuple[str, dict[str, str]]]:
    if not _PLACEHOLDER.search(part):
        return [(part, {})] if data_files.exists(os.path.join(parent, part)) else []
    # Splitting by a pattern with one group alternates literal text and placeholder names.
    pieces = _PLACEHOLDER.split(part)
    pattern = "".join(
        f"(?P<{piece}>{_PLACEHOLDERS[piece]})" if index % 2 else re.escape(piece)
        for index, piece in enumerate(pieces)
    )
    names = data_files.names(parent)
    return [(name, match.groupdict()) for name in names if (match := re.fullmatch(pattern, name))]


def _start(data_path: str) -> tuple[str, list[str]]:
    """Returns where to begin, and the parts of the path below it."""
    if not is_remote(data_path):
        return os.sep, os.path.abspath(data_path).strip(os.sep).split(os.sep)
    scheme, _, rest = data_path.rstrip("/").partition("://")
    bucket, *parts = rest.split("/")
    return f"{scheme}://{bucket}", parts


def _joined_date(values: dict[str, str]) -> str:
    return f"{values['YYYY']}{values.get('MM', '01')}{values.get('DD', '01')}"


def _date(text: str) -> datetime.date:
    return datetime.datetime.strptime(text.replace("-", ""), "%Y%m%d").date()


def _number(kind: str, text: str) -> int:
    try:
        return int(text) if kind == "SPAN" else (_date(text) - _EPOCH).days
    except ValueError:
        allowed = "digits" if kind == "SPAN" else "a date such as 2026-11-24"
        raise ConfigError(f"span must be {allowed}, received {text!r}") from None
