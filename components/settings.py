"""Base of every configuration class: frozen, strict, with errors that name the mend."""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from components.errors import ConfigError


class Settings(BaseModel):
    """A frozen group of settings; unknown keys are refused with the nearest known one."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        populate_by_name=True,
        # As a bound, infinity bounds nothing and NaN refuses everything; JSON can hand on neither.
        allow_inf_nan=False,
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Validates nested plain values.

        Raises:
            ConfigError: naming each wrong key by its dotted path, what it was and what is allowed.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = [_explain(cls, problem) for problem in error.errors()]
            raise ConfigError("; ".join(problems)) from None

    @classmethod
    def parse_json(cls, text: str) -> Self:
        """Reads settings that were handed on as JSON (`model_dump_json`)."""
        return cls.model_validate_json(text)


def nearest(value: object, known: Collection[str], what: str) -> str:
    """Returns a known value as it is.

    Raises:
        ValueError: for any other, naming the nearest known one, or all of them.
    """
    if value in known:
        return str(value)
    close = difflib.get_close_matches(str(value), known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
    raise ValueError(f"unknown {what} '{value}': {hint}")


def _explain(model: type[BaseModel], problem: Any) -> str:
    location = [str(part) for part in problem["loc"]]
    path = ".".join(location)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        close = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
        return f"unknown setting '{path}': {hint}"
    message = problem["msg"].removeprefix("Value error, ")
    received = problem["input"]
    shown = masked(repr(received))
    shown = "" if isinstance(received, Mapping | BaseModel) else f" (received: {shown})"
    return f"{path}: {message}{shown}" if path else message


def masked(text: str) -> str:
    """Returns a text without the password, or the key alone, of a URL: it must not reach a log."""
    user_info = r"://(?:([^/@\s:]*:)\S*|[^/@\s]*)@"
    return re.sub(user_info, lambda found: f"://{found[1] or ''}***@", text)


def _known_keys(model: type[BaseModel], location: list[str]) -> list[str]:
    """Follows a location through nested models to the keys that are known there."""
    for part in location:
        field = _fields(model).get(part)
        if field is not None:
            model = model_in(field.annotation) or model
    return sorted(_fields(model))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Returns the fields by the names that they have in a configuration."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Returns the settings that a field's type holds, also in a list or as an option."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = model_in(inner)
        if found is not None:
            return found
    return None
