"""The schema to hold the data against, from a file or a bucket."""

import pytest

from components.errors import DataError
from components.reference_schema.executor import known_classes, read_schema
from components.store import open_store

SCHEMA = """
feature { name: "label" type: BYTES domain: "labels" }
string_domain { name: "labels" value: "cat" value: "dog" }
"""


def test_a_curated_schema_is_read_where_it_lies(address):
    open_store(address).write_text("schema.pbtxt", SCHEMA)
    assert known_classes(read_schema(f"{address}/schema.pbtxt")) == {"cat", "dog"}
    open_store(address).write_text("schema.pbtxt", "feature {")
    with pytest.raises(DataError, match=r"schema\.pbtxt' can't be read .*text format"):
        read_schema(f"{address}/schema.pbtxt")
    with pytest.raises(DataError, match=r"none\.pbtxt' can't be read"):
        read_schema(f"{address}/none.pbtxt")
