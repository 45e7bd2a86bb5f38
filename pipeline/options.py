"""The effective configuration: defaults, then the YAML file, then --backbone, then --set."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from components.errors import ConfigError
from pipeline.config import PipelineConfig


def effective_config(
    file: Path | None = None,
    sets: Sequence[str] = (),
    backbone: str | None = None,
    search: bool = False,
) -> PipelineConfig:
    """Puts the configuration of a run together and checks it.

    Args:
        file: YAML; what it leaves out keeps its default.
        sets: `key.path=value`, the value in YAML; each overrides what came before it.
        backbone: short for `trainer.backbone=...`.
        search: short for `trainer.search.enabled=true`.

    Raises:
        ConfigError: naming what was received, and what is allowed.
    """
    values = _read_mapping(file) if file is not None else {}
    if backbone is not None:
        _assign(values, _defaults(), ["trainer", "backbone"], backbone)
    if search:
        _assign(values, _defaults(), ["trainer", "search", "enabled"], True)
    for text in sets:
        path, value = parse_set(text)
        _assign(values, _defaults(), path, value)
    sources = [f"'{file}'"] if file is not None else []
    sources += ["--backbone"] if backbone is not None else []
    sources += ["--set"] if sets else []
    try:
        return PipelineConfig.parse(values)
    except ConfigError as error:
        named = " and ".join(sources) or "the defaults"
        raise ConfigError(f"{named} can't be used (`effnet config` helps): {error}") from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    problem=f"'{key}' is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read_mapping(file: Path) -> dict[str, Any]:
    try:
        # Loaded by a subclass of SafeLoader: plain values only.
        values = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(
            f"the configuration '{file}' can't be read: {error.strerror}; name a YAML file with "
            "--config, for instance one written by `effnet config > config.yaml`"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the configuration '{file}' is not valid YAML: {_one_line(error)}"
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"the configuration '{file}' must be a mapping of settings, received "
            f"{type(values).__name__}; `effnet config` shows one"
        )
    return values


def parse_set(text: str, example: str = "splits.val=0.2") -> tuple[list[str], Any]:
    """Reads what --set takes.

    Args:
        text: `key.path=value`, the value in YAML.
        example: of one, for the error.

    Returns:
        The path of keys, and the value.

    Raises:
        ConfigError: it isn't that.
    """
    key, equals, value = text.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise ConfigError(f"--set takes key.path=value, received '{text}'; e.g. --set {example}")
    try:
        return path, yaml.load(value, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}: the value is not valid YAML: {_one_line(error)}") from None


def _assign(node: Any, default: Any, path: Sequence[str], value: Any) -> None:
    """Sets one value in nested mappings and lists.

    A list that so far is only a default is copied first, so that one item of it can be changed.
    Unknown keys are left to the validation, which names the nearest known one.
    """
    key: Any = _index(node, path[0]) if isinstance(node, list) else path[0]
    if len(path) == 1:
        node[key] = value
        return
    below = default.get(key) if isinstance(default, dict) else None
    child = node[key] if isinstance(node, list) else node.get(key)
    if child is None:
        child = copy.deepcopy(below) if isinstance(below, list) else {}
        node[key] = child
    if not isinstance(child, dict | list):
        raise ConfigError(
            f"--set: '{path[0]}' is a single value and has no '{path[1]}' below it; "
            "`effnet config` shows what there is"
        )
    _assign(child, below, path[1:], value)


def _index(items: list, text: str) -> int:
    if text.isdecimal() and int(text) < len(items):
        return int(text)
    raise ConfigError(
        f"--set: '{text}' is no item of a list of {len(items)}; items are counted from 0, and a "
        "whole list is set as [first, second]"
    )


def _defaults() -> dict[str, Any]:
    return PipelineConfig().model_dump(mode="json", by_alias=True)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
