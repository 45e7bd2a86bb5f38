"""Versions in a bucket: complete before they serve, one winner, and a crash at any call."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.errors import OutputError
from components.model_versions import (
    ModelVersions,
    PushWithheldError,
    VersionError,
    model_digest,
    serving_state,
    versions_at,
)
from components.model_versions import bucket as bucket_module
from components.model_versions.bucket import BucketVersions
from components.store import Store, open_store

Push = Callable[..., tuple[Any, bool]]
MakeModel = Callable[[Path, str], Path]


@pytest.fixture(params=["s3", "gs"])
def place(request: pytest.FixtureRequest) -> str:
    return f"{request.getfixturevalue(request.param)}/serving/classifier"


@pytest.fixture
def versions(place: str) -> ModelVersions:
    return versions_at(place)


@pytest.fixture
def push_it(tmp_path: Path, make_model: MakeModel) -> Push:
    def do(versions: ModelVersions, content: str, **options: Any) -> tuple[Any, bool]:
        model = make_model(tmp_path / f"candidate {content}", content)
        facts = {"run_id": content, "metrics": {"accuracy": 0.9}}
        return versions.publish(model, schema=None, facts=facts, **options)

    return do


def left(place: str) -> list[str]:
    """The folders and files that hold something; some servers keep empty folders."""
    return sorted({file.name.split("/")[0] for file in open_store(place).walk()})


def states(versions: ModelVersions) -> dict[int, str]:
    return {version.number: version.state for version in versions.all()}


def test_nothing_was_pushed_at_first(versions: ModelVersions) -> None:
    assert versions.all() == []
    assert versions.serving() is None
    assert versions.hold() is None
    assert versions.release() is None
    with pytest.raises(VersionError, match="none at all"):
        versions.roll_back()


def test_a_version_lies_complete_below_its_number(
    versions: ModelVersions, make_model: MakeModel, tmp_path: Path
) -> None:
    schema = tmp_path / "given.pbtxt"
    schema.write_text("feature {}")
    model = make_model(tmp_path / "model", "one")
    (model / "assets.extra").mkdir()
    (model / "assets.extra" / "training.json").write_text('{"backbone": "b0"}')
    extra = {"learnt.csv": b"a,b"}
    version, new = versions.publish(model, schema=schema, facts={"run_id": "r1"}, extra=extra)
    assert new
    assert (version.number, version.state) == (1, "serving")
    assert version.address == f"{versions.address}/1"
    assert version.facts == {"digest": model_digest(model), "run_id": "r1"}
    copied = versions.copy(version, tmp_path / "copy")
    assert copied.facts == version.facts
    assert copied.schema is not None
    assert copied.schema.read_text() == "feature {}"
    assert copied.training == version.training == {"backbone": "b0"}
    assert (copied.path / "assets.extra" / "learnt.csv").read_bytes() == b"a,b"
    assert model_digest(tmp_path / "copy") == version.digest == version.content
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy"]


def test_the_model_that_serves_is_not_pushed_again(versions: ModelVersions, push_it: Push) -> None:
    first, _ = push_it(versions, "one")
    again, new = push_it(versions, "one")
    assert (again, new) == (first, False)
    assert left(versions.address) == ["1", "versions.json"]


def test_a_damaged_version_is_not_compared_with(
    versions: ModelVersions, push_it: Push, tmp_path: Path
) -> None:
    version, _ = push_it(versions, "one")
    open_store(version.address).write_text("variables/variables.index", "other")
    with pytest.raises(OutputError, match="damaged"):
        versions.copy(version, tmp_path / "copy")


def test_a_damaged_record_is_told(versions: ModelVersions, push_it: Push) -> None:
    open_store(versions.address).write_text("versions.json", '{"versions": {"1": {}}}')
    with pytest.raises(OutputError, match=r"versions\.json' is damaged.*versions\.1\.state"):
        push_it(versions, "one")


def test_going_back_and_forth_as_in_a_folder(versions: ModelVersions, push_it: Push) -> None:
    for content in ("one", "two", "three"):
        push_it(versions, content)
    assert states(versions) == {1: "visible", 2: "visible", 3: "serving"}
    assert versions.promote(2).state == "serving"
    with pytest.raises(VersionError, match="newer"):
        versions.roll_back(3)
    assert states(versions) == {1: "visible", 2: "serving", 3: "withdrawn"}
    assert versions.roll_back().number == 1
    assert states(versions) == {1: "serving", 2: "withdrawn", 3: "withdrawn"}
    hold = versions.hold()
    assert hold is not None
    assert hold.why == "went back from version 2 to 1"
    with pytest.raises(PushWithheldError, match="on hold"):
        push_it(versions, "four")
    with pytest.raises(VersionError, match="serves already"):
        versions.promote(1)
    assert versions.promote(3).state == "serving"
    assert states(versions) == {1: "visible", 2: "withdrawn", 3: "serving"}
    assert versions.release() == hold
    assert push_it(versions, "four")[0].number == 4


def test_what_was_taken_back_stays_back(versions: ModelVersions, push_it: Push) -> None:
    for content in ("one", "two", "three"):
        push_it(versions, content)
    versions.roll_back(1)
    versions.release()
    with pytest.raises(PushWithheldError, match="taken back by hand"):
        push_it(versions, "two")
    push_it(versions, "four")
    push_it(versions, "five")
    versions.remove_old(2)
    assert states(versions) == {4: "visible", 5: "serving"}
    with pytest.raises(PushWithheldError, match=r"version 2, .*versions\.json"):
        push_it(versions, "two")
    assert left(versions.address) == ["4", "5", "versions.json"]


def test_what_did_not_go_live_in_the_cluster_may_come_back(
    versions: ModelVersions, push_it: Push
) -> None:
    push_it(versions, "one")
    second, _ = push_it(versions, "two")
    versions.withdraw(second.number)
    assert states(versions) == {1: "serving", 2: "failed"}
    assert versions.hold() is None
    assert push_it(versions, "two")[0].number == 3


def test_only_over_what_was_judged_against(versions: ModelVersions, push_it: Push) -> None:
    judged = serving_state(versions.serving())
    push_it(versions, "one", expected=judged)
    with pytest.raises(PushWithheldError, match=r"version 1 .* serves now, but no version did"):
        push_it(versions, "two", expected=judged)
    assert left(versions.address) == ["1", "versions.json"]


def test_of_two_pushers_at_once_one_wins(place: str, push_it: Push) -> None:
    push_it(versions_at(place), "zero")
    judged = serving_state(versions_at(place).serving())
    gate = threading.Barrier(4)
    came: list[str] = []

    def push(content: str) -> None:
        gate.wait()
        try:
            push_it(versions_at(place), content, expected=judged)
            came.append(content)
        except PushWithheldError:
            came.append("withheld")

    threads = [threading.Thread(target=push, args=(f"by {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = versions_at(place).serving()
    assert winner is not None
    assert sorted(came) == sorted([winner.facts["run_id"], *["withheld"] * 3])
    assert sorted(states(versions_at(place)).values()) == ["serving", "visible"]
    # Nothing is left of the others' uploads.
    assert left(place) == ["1", str(winner.number), "versions.json"]


class CutOffError(BaseException):
    """The process ends here, so that nothing after it runs."""


class CutOff:
    """A store whose process ends before or after a call that changes something."""

    def __init__(self, store: Store, calls: Iterator[int], at: int, after: bool) -> None:
        self._store, self._calls, self._at, self._after = store, calls, at, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name == "child":
            return lambda *names: CutOff(found(*names), self._calls, self._at, self._after)
        if name not in ("write_text", "replace_text", "put", "remove"):
            return found

        def call(*arguments: Any) -> Any:
            ends = next(self._calls) == self._at
            if ends and not self._after:
                raise CutOffError
            result = found(*arguments)
            if ends:
                raise CutOffError
            return result

        return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("action", ["push", "roll_back", "remove_old"])
def test_cut_off_at_any_call_a_complete_version_serves(
    s3: str,
    push_it: Push,
    make_model: MakeModel,
    tmp_path: Path,
    action: str,
    after: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schema = tmp_path / "schema"
    schema.write_text("feature {}")
    at, ended = 0, False
    while not ended:
        store = open_store(f"{s3}/{action}/{at}")
        versions = versions_at(store.address)
        for content in ("one", "two", "three"):
            push_it(versions, content)
        cut = BucketVersions(CutOff(store, iter(range(99)), at, after))  # type: ignore[arg-type]
        try:
            if action == "push":
                model = make_model(tmp_path / "model", "four")
                cut.publish(model, schema=schema, facts={})
            elif action == "roll_back":
                cut.roll_back(1)
            else:
                cut.remove_old(2)
            ended = True
        except CutOffError:
            at += 1
        serving = versions.serving()
        assert serving is not None
        assert serving.number == (1 if versions.hold() else max(states(versions)))
        copied = versions.copy(serving, tmp_path / "copies" / f"{action} {at} {ended}")
        assert model_digest(copied.path) == serving.digest
        # What was left behind is removed by the next one, and its number is not given again.
        versions.release()
        monkeypatch.setattr(bucket_module, "_UPLOAD_TIME", bucket_module.datetime.timedelta(0))
        numbers = [int(name) for name in left(store.address) if name.isdecimal()]
        assert push_it(versions, "five")[0].number > max(numbers)
        versions.remove_old(2)
        kept = sorted(str(number) for number in states(versions))
        assert left(store.address) == [*kept, "versions.json"]
    assert at == {"push": 4, "roll_back": 1, "remove_old": 2}[action]


def test_an_answer_that_was_lost_does_not_undo_a_push(
    s3: str, push_it: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = versions_at(s3)
    store_type = type(open_store(s3))
    replace = store_type.replace_text
    calls = iter(range(99))

    def lose_the_second(self: Store, *arguments: Any) -> None:
        replace(self, *arguments)
        if next(calls) == 1:
            raise OutputError("the connection was lost")

    monkeypatch.setattr(store_type, "replace_text", lose_the_second)
    with pytest.raises(OutputError, match="lost"):
        push_it(versions, "one")
    assert states(versions) == {1: "serving"}
    assert "1" in left(s3)


def test_the_record_says_in_plain_words_what_serves(s3: str, push_it: Push) -> None:
    push_it(versions_at(s3), "one")
    push_it(versions_at(s3), "two")
    record = json.loads(open_store(s3).read_text("versions.json") or "")
    assert record["serving"] == 2
    assert record["versions"]["2"]["state"] == "visible"
    versions_at(s3).roll_back()
    record = json.loads(open_store(s3).read_text("versions.json") or "")
    assert record["serving"] == record["hold"]["version"] == 1
