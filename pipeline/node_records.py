"""What the tasks of a run on a cluster have left of themselves, read again."""

import contextlib
from collections.abc import Iterable

from pydantic import ValidationError

from components.store import Store
from pipeline.node_facts import NodeRecord
from pipeline.progress import Progress


def read_records(nodes: Store) -> list[NodeRecord]:
    """Returns what the tasks have left, the first one first.

    Raises:
        StoreError: if it can't be read.
    """
    found = []
    for name in nodes.names():
        text = nodes.read_text(name)
        # A task that was killed as it wrote has left no word, as others that were killed.
        with contextlib.suppress(ValidationError):
            found.append(NodeRecord.model_validate_json(text or ""))
    return sorted(found, key=lambda record: record.started)


def progress_of(records: Iterable[NodeRecord]) -> Progress:
    """Returns what the events of all tasks add up to; of nodes they tell nothing."""
    progress = Progress(started=0.0)
    for record in records:
        for event in record.events:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                progress.apply(event)
    return progress
