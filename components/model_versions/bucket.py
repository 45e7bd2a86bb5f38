"""Versions in a bucket, which has no rename.

    serving/<model name>/versions.json   which version serves, which are out of sight, the hold
    serving/<model name>/<version>/      a SavedModel with its facts and schema

A number is given once: it is taken in the record first, then the model is uploaded below it, and
then the record says that it serves. Each change of the record is one conditional write. What was
cut off before the last one is never seen, and removed with old versions.
"""

import datetime
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import run_events
from components.errors import EffnetError, OutputError
from components.features import EXTRA
from components.model_versions.holds import Hold
from components.model_versions.publishing import (
    check_free,
    check_not_taken_back,
    removable,
    taken_back,
    write_extra,
)
from components.model_versions.record import (
    RECORD_FILE,
    BucketVersion,
    Entry,
    Record,
    change_record,
    now,
    read_record,
)
from components.model_versions.switching import (
    check_serves_not,
    choose_older,
    find,
    find_serving,
    reason,
)
from components.model_versions.versions import (
    Version,
    model_digest,
    read_training,
)
from components.store import Store

# An upload that was begun longer ago was cut off.
_UPLOAD_TIME = datetime.timedelta(days=1)


class BucketVersions:
    """A model's versions on S3 or GCS; see `ModelVersions` for what each method does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def address(self) -> str:
        """Where the versions lie."""
        return self._store.address

    def all(self) -> list[BucketVersion]:
        """Returns every complete version, by growing number."""
        return read_record(self._store).published(self._store)

    def serving(self) -> BucketVersion | None:
        """Returns the version that serves now."""
        return find_serving(self.all())

    def hold(self) -> Hold | None:
        """Returns the hold that is set."""
        return read_record(self._store).hold

    def copy(self, version: BucketVersion, target: Path) -> Version:
        """Downloads a version to a path that isn't there yet."""
        fetched = self._store.fetch(str(version.number), target.parent / f".{target.name}")
        if model_digest(fetched) != version.digest:
            raise OutputError(
                f"'{version.address}' is damaged: it is not what was pushed; promote or push "
                "another version"
            )
        os.rename(fetched, target)
        fetched.parent.rmdir()
        return Version(version.number, target, version.state)

    def publish(
        self,
        saved_model: Path,
        *,
        schema: Path | None,
        facts: Mapping[str, Any],
        expected: str | None = None,
        extra: Mapping[str, bytes] | None = None,
    ) -> tuple[BucketVersion, bool]:
        """Uploads a SavedModel, then makes it serve, unless it already does."""
        digest = model_digest(saved_model)

        def take_number(record: Record) -> BucketVersion | int:
            serving = self._check_push(record, digest, expected)
            if serving is not None:
                return serving
            number = record.next_number
            record.next_number += 1
            record.versions[number] = Entry(state="uploading", since=now(), digest=digest)
            return number

        taken = change_record(self._store, take_number)
        if not isinstance(taken, int):
            return taken, False
        told = {"digest": digest, **facts}
        try:
            self._upload(taken, saved_model, schema, told, extra or {})
            other = self._go_live(taken, told, read_training(saved_model), expected)
        except (EffnetError, OSError):
            self._give_up(taken)
            raise
        if other is not None:
            self._give_up(taken)
            return other, False
        return find(self.all(), taken), True

    def _upload(
        self,
        number: int,
        saved_model: Path,
        schema: Path | None,
        facts: Mapping[str, Any],
        extra: Mapping[str, bytes],
    ) -> None:
        self._store.put(saved_model, str(number))
        with tempfile.TemporaryDirectory() as scratch:
            write_extra(Path(scratch), schema, facts, extra)
            self._store.put(Path(scratch), f"{number}/{EXTRA}")

    def _go_live(
        self, number: int, facts: dict[str, Any], training: dict[str, Any], expected: str | None
    ) -> BucketVersion | None:
        """Returns the version that serves if this very model has come to do so meanwhile."""

        def go_live(record: Record) -> BucketVersion | None:
            serving = self._check_push(record, facts["digest"], expected)
            if serving is not None:
                return serving
            if number not in record.versions:
                raise OutputError(
                    f"the upload of version {number} to '{self._store}' took so long that another "
                    "push took it for cut off and removed it: run again"
                )
            record.versions[number].state = "visible"
            record.versions[number].facts = facts
            record.versions[number].training = training
            return None

        return change_record(self._store, go_live)

    def _check_push(
        self, record: Record, digest: str, expected: str | None
    ) -> BucketVersion | None:
        """Returns the version that serves if it is this very model; raises if it may not serve."""
        versions = record.published(self._store)
        serving = find_serving(versions)
        if serving is not None and serving.digest == digest:
            return serving
        check_not_taken_back(versions, digest)
        for number, gone in record.taken_back.items():
            if gone == digest:
                raise taken_back(number, f"its entry in '{self._store}/{RECORD_FILE}'")
        check_free(record.hold, serving, expected)
        return None

    def _give_up(self, number: int) -> None:
        """Forgets an upload; what can't be removed now is removed with old versions."""

        def forget(record: Record) -> bool:
            # Where an answer was lost it may have gone live after all.
            entry = record.versions.get(number)
            if entry is None or entry.state != "uploading":
                return False
            del record.versions[number]
            return True

        try:
            if change_record(self._store, forget):
                self._store.remove(str(number))
        except EffnetError as error:
            run_events.warn(f"version {number}, which did not go live, stays: {error}")

    def remove_old(self, keep: int) -> None:
        """Leaves `keep` versions, and nothing of uploads that were cut off."""

        def forget(record: Record) -> Record:
            for version in removable(record.published(self._store), keep):
                del record.versions[version.number]
                if version.state == "withdrawn":
                    record.taken_back[version.number] = version.digest
            for number, entry in list(record.versions.items()):
                if entry.state == "uploading" and _age(entry) > _UPLOAD_TIME:
                    del record.versions[number]
            return record

        try:
            record = change_record(self._store, forget)
            for name in self._store.names():
                known = not name.isdecimal() or int(name) in record.versions
                if not known and int(name) < record.next_number:
                    self._store.remove(name)
        except EffnetError as error:
            # The push itself has succeeded.
            run_events.warn(f"old versions of the model could not be removed: {error}")

    def roll_back(self, version: int | None = None) -> BucketVersion:
        """Makes an older version serve, and sets a hold with it."""
        seen = self.serving()

        def switch(record: Record) -> int:
            versions = record.published(self._store)
            _, target = choose_older(versions, version, seen, self.address)
            return _switch(record, versions, target)

        number = change_record(self._store, switch)
        return find(self.all(), number)

    def promote(self, version: int) -> BucketVersion:
        """Makes any version serve; going to an older one sets a hold with it."""

        def switch(record: Record) -> int:
            versions = record.published(self._store)
            return _switch(record, versions, find(versions, version))

        number = change_record(self._store, switch)
        return find(self.all(), number)

    def withdraw(self, version: int) -> None:
        """Takes a version that was pushed in vain out of sight, unless a person has done so."""

        def take(record: Record) -> None:
            find(record.published(self._store), version)
            if record.versions[version].state == "visible":
                record.versions[version].state = "failed"

        change_record(self._store, take)

    def release(self) -> Hold | None:
        """Lets runs push again; returns the hold that was set."""

        def lift(record: Record) -> Hold | None:
            hold, record.hold = record.hold, None
            return hold

        return change_record(self._store, lift)


def _switch(record: Record, versions: list[BucketVersion], target: BucketVersion) -> int:
    """Makes the target the highest visible version; returns its number."""
    check_serves_not(target)
    serving = find_serving(versions)
    if serving is not None and serving.number > target.number:
        record.hold = Hold(now(), reason(serving, target), target.number)
    for number, entry in record.versions.items():
        if entry.state == "visible" and number > target.number:
            entry.state = "withdrawn"
    record.versions[target.number].state = "visible"
    return target.number


def _age(entry: Entry) -> datetime.timedelta:
    return datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(entry.since)
