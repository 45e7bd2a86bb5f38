"""One behaviour on a file system, S3 and GCS: whole files, names that stay inside, one winner."""

import errno
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from components.store import ConflictError, Store, StoreError, open_store
from components.store.open import file_system
from tests import object_stores


@pytest.fixture
def store(address: str) -> Store:
    return open_store(address)


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def make_tree(root: Path) -> Path:
    (root / "variables").mkdir(parents=True)
    (root / "saved_model.pb").write_text("graph")
    (root / "variables" / "odd [1]*.index").write_text("weights")
    return root


def test_nothing_is_there_at_first(store: Store, tmp_path: Path) -> None:
    assert store.names() == []
    assert store.read_text("a") is None
    assert not store.exists("a")
    store.remove("a")
    with pytest.raises(FileNotFoundError):
        store.fetch("a", tmp_path / "here")


def test_text_is_written_over_read_and_removed(store: Store) -> None:
    store.write_text("runs/1/summary.json", "first")
    store.write_text("runs/1/summary.json", "zweites Öl")
    store.write_text("runs/2/summary.json", "")
    assert store.child("runs", "1").read_text("summary.json") == "zweites Öl"
    assert store.read_text("runs/2/summary.json") == ""
    assert store.names() == ["runs"]
    assert store.child("runs").names() == ["1", "2"]
    assert store.child("runs/1").names() == ["summary.json"]
    assert store.exists("runs")
    assert store.exists("runs/1/summary.json")
    assert not store.exists("run")
    store.remove("runs/1/summary.json")
    assert store.read_text("runs/1/summary.json") is None
    store.remove("runs")
    assert store.walk() == []


def test_a_tree_and_a_file_come_back_as_they_went(store: Store, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "model")
    store.put(source, "versions/1")
    store.put(source / "saved_model.pb", "versions/1/copy.pb")
    store.write_text("versions/10/other", "not below versions/1")
    fetched = store.fetch("versions/1", tmp_path / "fetched")
    assert fetched == tmp_path / "fetched" / "1"
    assert tree(fetched) == {**tree(source), "copy.pb": "graph"}
    file = store.fetch("versions/1/saved_model.pb", tmp_path / "fetched")
    assert file.read_text() == "graph"
    assert sorted(path.name for path in (tmp_path / "fetched").iterdir()) == ["1", "saved_model.pb"]
    store.remove("versions/1")
    assert [file.name for file in store.walk()] == ["versions/10/other"]


def test_files_are_listed_with_what_changes_when_they_do(store: Store) -> None:
    assert store.walk() == []
    before = time.time_ns() - 2 * 10**9  # S3 knows whole seconds only
    store.write_text("b/2", "longer")
    store.write_text("b/1", "short")
    store.write_text("a", "")
    found = store.walk()
    assert [(file.name, file.size) for file in found] == [("a", 0), ("b/1", 5), ("b/2", 6)]
    assert all(before < file.mtime_ns <= time.time_ns() + 10**9 for file in found)
    assert [file.name for file in store.child("b").walk()] == ["1", "2"]
    assert store.child("b").read_bytes("1") == b"short"
    assert store.child("b").size("1") == 5
    with pytest.raises(FileNotFoundError):
        store.size("c")
    with pytest.raises(FileNotFoundError):
        store.read_bytes("c")


def test_a_fetch_that_fails_leaves_nothing(store: Store, tmp_path: Path) -> None:
    store.put(make_tree(tmp_path / "model"), "1")
    (tmp_path / "fetched" / "1" / "taken").mkdir(parents=True)
    with pytest.raises(StoreError):
        store.fetch("1", tmp_path / "fetched")
    assert [path.name for path in (tmp_path / "fetched").iterdir()] == ["1"]


def test_what_is_not_there_can_not_be_put(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put(tmp_path / "missing", "1")


@pytest.mark.parametrize("name", ["", "/etc", "../b", "a/../../b", "a//b", "a/.", "a/"])
def test_names_do_not_leave_the_store(store: Store, name: str, tmp_path: Path) -> None:
    calls = [store.read_text, store.exists, store.remove, store.child]
    calls += [lambda name: store.fetch(name, tmp_path), lambda name: store.put(tmp_path, name)]
    calls += [lambda name: store.write_text(name, ""), lambda name: store.child("a", name)]
    for call in calls:
        with pytest.raises(StoreError, match="relative path"):
            call(name)


def test_keys_do_not_leave_the_folder_that_they_are_fetched_to(s3: str, tmp_path: Path) -> None:
    file_system("s3").call_s3("put_object", Bucket=s3[5:], Key="1/../../escaped", Body=b"x")
    with pytest.raises(StoreError):
        open_store(s3).fetch("1", tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("escaped"))


def test_a_file_is_replaced_only_over_what_was_read(store: Store) -> None:
    with pytest.raises(ConflictError):
        store.replace_text("pointer", "0", "1")
    store.replace_text("pointer", "1", None)
    seen = store.read_stamped("pointer")
    assert seen is not None
    assert seen.text == "1"
    store.replace_text("pointer", "2", seen.token)
    with pytest.raises(ConflictError, match="another process"):
        store.replace_text("pointer", "3", seen.token)
    with pytest.raises(ConflictError):
        store.replace_text("pointer", "4", None)
    assert store.read_text("pointer") == "2"
    assert store.names() == ["pointer"]


def test_of_several_writers_one_wins(store: Store) -> None:
    store.write_text("pointer", "before")
    seen = store.read_stamped("pointer")
    assert seen is not None
    won: list[str] = []
    gate = threading.Barrier(6)

    def write(text: str) -> None:
        gate.wait()
        try:
            open_store(store.address).replace_text("pointer", text, seen.token)
            won.append(text)
        except ConflictError:
            pass

    threads = [threading.Thread(target=write, args=(f"by {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.read_text("pointer")] == won


def test_a_server_without_conditional_writes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with object_stores.gcs_server(conditional=False) as endpoint:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
        store = open_store(object_stores.make_bucket("gs", "careless"))
        with pytest.raises(StoreError, match="ifGenerationMatch"):
            store.replace_text("pointer", "1", None)
        assert store.names() == []


def test_an_sdk_that_drops_conditions_is_told(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As botocore did before S3 had them."""
    files = file_system("s3")
    call = files.call_s3

    def unconditional(method: str, **arguments: object) -> object:
        return call(method, **{k: v for k, v in arguments.items() if not k.startswith("If")})

    monkeypatch.setattr(files, "call_s3", unconditional)
    with pytest.raises(StoreError, match=r"If-Match.*undo each other's work"):
        open_store(s3).replace_text("pointer", "1", None)
    assert open_store(s3).walk() == []


def test_a_server_that_refuses_conditions_is_told(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenStack Swift answers."""
    files = file_system("s3")
    call = files.call_s3

    def refusing(method: str, **arguments: object) -> object:
        if any(name.startswith("If") for name in arguments):
            raise OSError(errno.ENOSYS, "Conditional object PUTs are not supported.")
        return call(method, **arguments)

    monkeypatch.setattr(files, "call_s3", refusing)
    with pytest.raises(StoreError, match=r"If-Match.*undo each other's work"):
        open_store(s3).replace_text("pointer", "1", None)


def test_a_bucket_that_is_not_there_is_told(s3: str) -> None:
    store = open_store(f"{s3}-other")
    for write in (store.write_text, lambda name, text: store.replace_text(name, text, None)):
        with pytest.raises(StoreError, match=r"-other.*bucket.*AWS_ACCESS_KEY_ID"):
            write("a", "text")


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/a.*can't be used"):
        open_store(str(tmp_path / "file")).write_text("a/b", "text")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ftp://host/data", "s3://bucket"),
        ("s3://", "names no bucket"),
        ("s3://key:secret@bucket/x", "never stand in it"),
        ("gs://bucket/../other", "relative path"),
    ],
)
def test_other_addresses_are_refused(address: str, told: str) -> None:
    with pytest.raises(StoreError, match=told) as caught:
        open_store(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("address", "extra"), [("s3://bucket/x", "s3"), ("gs://bucket/x", "gcs")])
def test_a_missing_package_is_told_with_its_extra(address: str, extra: str) -> None:
    code = (
        "import sys; sys.modules.update(s3fs=None, gcsfs=None)\n"
        "from components.store import StoreError, open_store\n"
        f"try: open_store({address!r})\n"
        "except StoreError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"pip install 'effnet-tfx[{extra}]'" in done.stdout
