"""The one file that says which versions of a bucket serve, are kept out of sight, or are held.

Only a version whose upload has ended is in it as visible, and whoever replaces the file does so on
condition that nobody else has done so since it was read.
"""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from components.errors import OutputError
from components.model_versions.holds import Hold
from components.model_versions.versions import State
from components.store import ConflictError, Store

RECORD_FILE = "versions.json"
_TRIES = 50

T = TypeVar("T")


class Entry(BaseModel):
    """What is recorded of a version."""

    state: Literal["uploading", "visible", "withdrawn", "failed"]
    since: str  # ISO 8601, UTC: when its upload began
    digest: str
    facts: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Record(BaseModel):
    """The whole file. What changes it must leave it as it is to be read by others."""

    model_config = ConfigDict(extra="forbid")

    change: str = ""  # differs with every write, so that no two of them look alike
    serving: int | None = None  # the highest visible number, for those who read nothing else
    next_number: int = 1
    hold: Hold | None = None
    versions: dict[int, Entry] = {}
    taken_back: dict[int, str] = {}  # digests of withdrawn versions that are not kept any more

    def published(self, store: Store) -> list["BucketVersion"]:
        """Returns every complete version by growing number."""
        return [
            BucketVersion(number, self._state(number, entry.state), store.child(str(number)), entry)
            for number, entry in sorted(self.versions.items())
            if entry.state != "uploading"
        ]

    def _state(self, number: int, state: State) -> State:
        return "serving" if number == self.highest() else state

    def highest(self) -> int | None:
        """Returns the number that serves."""
        seen = [number for number, entry in self.versions.items() if entry.state == "visible"]
        return max(seen, default=None)


@dataclass(frozen=True)
class BucketVersion:
    """One complete version in a bucket."""

    number: int
    state: State
    store: Store = field(compare=False)
    entry: Entry

    @property
    def address(self) -> str:
        """Where its SavedModel lies."""
        return self.store.address

    @property
    def home(self) -> str:
        """Where the versions of its model lie."""
        return self.address.rpartition("/")[0]

    @property
    def digest(self) -> str:
        """The digest of its model."""
        return self.entry.digest

    @property
    def content(self) -> str:
        """The same: nothing comes into a bucket without it."""
        return self.entry.digest

    @property
    def facts(self) -> dict[str, Any]:
        """What was recorded when it was published."""
        return self.entry.facts

    @property
    def training(self) -> dict[str, Any]:
        """How it was trained, as the Trainer wrote it."""
        return self.entry.training


def read_record(store: Store) -> Record:
    """Returns what is recorded; an empty record where nothing was ever pushed.

    Raises:
        OutputError: if it is damaged.
        StoreError: if the store can't be read.
    """
    return _parse(store, store.read_text(RECORD_FILE))


def change_record(store: Store, change: Callable[[Record], T]) -> T:
    """Reads, changes and writes the record, again where another process came between.

    Args:
        store: of the model's versions.
        change: changes the record in place, or raises; called anew for each reading.

    Returns:
        What `change` returned.

    Raises:
        OutputError: if it is damaged, or others kept coming between.
        StoreError: if the store can't be used.
    """
    for _ in range(_TRIES):
        stamped = store.read_stamped(RECORD_FILE)
        record = _parse(store, stamped and stamped.text)
        before = record.model_dump_json()
        result = change(record)
        record.serving = record.highest()
        if record.model_dump_json() == before:
            return result
        record.change = uuid.uuid4().hex
        text = record.model_dump_json(indent=2) + "\n"
        try:
            store.replace_text(RECORD_FILE, text, stamped and stamped.token)
        except ConflictError:
            continue
        return result
    raise OutputError(
        f"'{store}/{RECORD_FILE}' was changed by others {_TRIES} times in a row: run this again"
    )


def now() -> str:
    """Returns the time as the record has it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _parse(store: Store, text: str | None) -> Record:
    if text is None:
        return Record()
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        problem = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise OutputError(
            f"'{store}/{RECORD_FILE}' is damaged ({problem[:500]}): put back what was there "
            "before, by the bucket's versioning or from a copy"
        ) from None
