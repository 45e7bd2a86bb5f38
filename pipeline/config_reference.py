"""A configuration as YAML with a comment on each setting, written from the classes themselves."""

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from components.settings import Settings, model_in

_WIDTH = 96


def render(settings: Settings) -> str:
    """Returns YAML that parses to the very same settings."""
    return "\n".join(_section(settings, "")) + "\n"


def default_of(field: FieldInfo) -> str:
    """Returns the default of a setting as YAML on one line."""
    return _flow(_plain(field.get_default(call_default_factory=True)))


def _section(settings: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(settings).model_fields.items():
        key, value = field.alias or name, getattr(settings, name)
        if not indent:
            yield ""
        yield from _comment(field.description or "", indent)
        if isinstance(value, BaseModel):
            yield f"{indent}{key}:"
            yield from _section(value, indent + "  ")
        else:
            yield from _item_comments(field, indent)
            yield from (f"{indent}{line}" for line in _setting(key, _plain(value)))


def _setting(key: str, value: Any) -> Iterator[str]:
    """One line, or for a list of groups (rules, stages) one line an item."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield f"{key}:"
        yield from (f"  - {_flow(item)}" for item in value)
    else:
        yield f"{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    )
    # YAML ends a document that is a single value with a line of dots.
    return text.removesuffix("...\n").rstrip("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _item_comments(field: FieldInfo, indent: str) -> Iterator[str]:
    """Names what an item of a list can hold, with defaults; the YAML shows only what is set."""
    model = model_in(field.annotation)
    if model is None:
        return
    for name, item_field in model.model_fields.items():
        default = "required" if item_field.is_required() else _flow(_plain(item_field.default))
        text = f"{item_field.alias or name} ({default}): {item_field.description or ''}"
        yield from _comment(text, indent, "  ")


def _comment(text: str, indent: str, hanging: str = "") -> Iterator[str]:
    start = f"{indent}# {hanging}"
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=f"{start}{hanging}"
    )
