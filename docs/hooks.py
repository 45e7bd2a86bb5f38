"""Writes the reference while the site is built, from the code itself, so that it can't go stale."""

import inspect
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from components.settings import model_in
from pipeline import cli
from pipeline.config import PipelineConfig
from pipeline.config_reference import default_of
from pipeline.summary import Outcome, Summary

_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the reference, as mkdocs calls it."""
    for name, page in (
        ("configuration", _configuration()),
        ("commands", _commands()),
        ("summary", _summary()),
    ):
        content = "\n".join(page) + "\n"
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def _configuration() -> Iterator[str]:
    yield "# Configuration\n"
    yield (
        "One YAML file, given by `--config`; `--set key.path=value` overrides one setting. Unknown "
        "keys and values that are not allowed end the command at once. What stands here are the "
        "defaults; `effnet config` prints them as a file, and every run writes the one in effect."
    )
    yield from _settings(PipelineConfig, "", 2)


def _settings(model: type[BaseModel], path: str, level: int) -> Iterator[str]:
    """A table of the settings of one group; groups inside have tables of their own."""
    groups = []
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if _is_group(field):
            groups.append((f"{path}{key}", field))
        else:
            rows.append(_row(key, field))
    if rows:
        yield "\n| setting | default | allowed | meaning |\n| --- | --- | --- | --- |"
        yield from rows
    for key, field in groups:
        yield f"\n{'#' * min(level, 4)} {key}\n"
        yield _cell(_sentence(field.description or ""))
        yield from _settings(field.annotation, f"{key}.", level + 1)
    for name, field in model.model_fields.items():
        inside = model_in(field.annotation)
        if inside is not None and not _is_group(field):
            key = f"{path}{field.alias or name}"
            yield f"\n{'#' * min(level, 4)} Each of {key}\n"
            yield from _settings(inside, "", level + 1)


def _is_group(field: FieldInfo) -> bool:
    return inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel)


def _row(key: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _code(default_of(field))
    allowed = _cell(_type(field.annotation, field.metadata))
    return f"| `{key}` | {default} | {allowed} | {_cell(_sentence(field.description or ''))} |"


def _type(annotation: Any, metadata: list[Any] | tuple[Any, ...] = ()) -> str:
    """The type in words that a person who writes YAML knows, with its bounds."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin in (Union, UnionType):
        bounds = "" if len(inside) > 2 else _bounds(metadata)
        kinds = [_type(kind) for kind in inside if kind is not type(None)]
        return " or ".join(kinds) + bounds + (", null" if type(None) in inside else "")
    if origin in (tuple, list):
        return f"list of: {_type(inside[0])}"
    if origin is not None and inside and origin.__name__ in ("dict", "Mapping"):
        return f"mapping to: {_type(inside[1])}"
    if hasattr(annotation, "__metadata__"):
        return _type(inside[0], annotation.__metadata__)
    names = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
    if annotation in names:
        return names[annotation] + _bounds(metadata)
    return "settings below" if inspect.isclass(annotation) else str(annotation)


def _bounds(metadata: list[Any] | tuple[Any, ...]) -> str:
    found = [
        f"{sign} {getattr(item, name)}"
        for item in metadata
        for name, sign in _BOUNDS.items()
        if getattr(item, name, None) is not None
    ]
    return f" {' and '.join(found)}" if found else ""


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield from _preformatted(inspect.getdoc(cli) or "")
    yield from _command(typer.main.get_command(cli.app), "effnet")


def _command(command: Any, name: str) -> Iterator[str]:
    children = getattr(command, "commands", {})
    if not children:
        yield f"\n## {name}\n"
        yield inspect.cleandoc(command.help or "")
        options = [param for param in command.params if param.param_type_name == "option"]
        words = [param.metavar or param.name.upper() for param in command.params]
        words = words[: len(words) - len(options)]  # arguments stand first
        yield f"\n```\n{' '.join([name, *words, '[OPTIONS]'])}\n```"
        yield "\n| option | default | meaning |\n| --- | --- | --- |"
        yield from (_option(option) for option in options if not option.hidden)
    for child in children.values():
        yield from _command(child, f"{name} {child.name}")


def _option(option: Any) -> str:
    names = ", ".join((*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    if option.required:
        default = "required"
    else:
        given = option.default() if callable(option.default) else option.default
        default = "" if given in (None, False, ()) else _code(str(given))
    return f"| `{names}{value}` | {default} | {_cell(option.help or '')} |"


def _summary() -> Iterator[str]:
    yield "# summary.json\n"
    yield (
        "What `effnet run --json` prints, and every run leaves in its folder. Numbers that are "
        "not finite are null.\n"
    )
    told = (inspect.getdoc(kind) or "" for kind in (Summary, Outcome))
    yield from _preformatted("\n".join(text.partition("Attributes:\n")[2] for text in told))
    yield ""
    schema = Summary.model_json_schema()
    yield "| field | type | default |\n| --- | --- | --- |"
    for name, field in schema["properties"].items():
        default = _code(str(field["default"])) if field.get("default") is not None else ""
        yield f"| `{name}` | {_cell(_kind(field))} | {default} |"
    for name, model in sorted(schema["$defs"].items()):
        yield f"\n## {name}\n"
        yield from _preformatted(model.get("description", ""))
        yield "\n| field | type |\n| --- | --- |"
        for key, field in model.get("properties", {}).items():
            yield f"| `{key}` | {_cell(_kind(field))} |"


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_kind(kind) for kind in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        items = field.get("items") or (field.get("prefixItems") or [{}])[0]
        return f"list of: {_kind(items)}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"object of: {_kind(field['additionalProperties'])}"
    return field.get("type", "any value")


def _preformatted(text: str) -> Iterator[str]:
    """A docstring as it stands in the code."""
    if text:
        yield f"```text\n{text}\n```"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _cell(text: str) -> str:
    """Text that ends no cell, and starts no tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
