"""Values of parameters, and JSON as Go writes it."""

import json
from typing import Any

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

TYPES = spec_pb2.ParameterType
# Which kind of protobuf.Value a parameter of each type takes.
KINDS = {
    TYPES.NUMBER_DOUBLE: "number_value",
    TYPES.NUMBER_INTEGER: "number_value",
    TYPES.STRING: "string_value",
    TYPES.BOOLEAN: "bool_value",
    TYPES.LIST: "list_value",
    TYPES.STRUCT: "struct_value",
}


def to_json(message: Any) -> Any:
    """Returns a message as JSON's types; unlike Python's own way, 3.0 becomes 3 as in Go."""
    return _whole(json_format.MessageToDict(message))


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def as_text(value: struct_pb2.Value) -> str:
    """Writes a value as the backend puts it into text (v2/metadata/converter.go, PbValueToText)."""
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return ""
    if kind == "string_value":
        return str(value.string_value)
    return json.dumps(to_json(value), separators=(",", ":"), sort_keys=True)
