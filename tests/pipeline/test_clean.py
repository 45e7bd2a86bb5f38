import json
import os

import pytest

from pipeline.clean import clean, clear_strange_artifacts

# The start of run n, as its id says it: 2026-11-24 04:25:0n UTC.
IDS = [f"20261124-04250{number}-ab12" for number in range(5)]


@pytest.fixture
def artifact(output):
    """Makes a folder with one file, last written when run `number` ran."""

    def make(relative, number):
        folder = output.root / relative
        folder.mkdir(parents=True)
        (folder / "data").write_bytes(b"x" * 100)
        time = output.run(IDS[number]).started + 0.5
        for path in (folder / "data", folder):
            os.utime(path, (time, time))
        return folder

    return make


@pytest.fixture
def runs(output):
    """Makes the runs, each using the artifacts given by its number."""

    def make(used):
        for number, run_id in enumerate(IDS):
            run = output.run(run_id)
            run.path.mkdir(parents=True)
            event = {"event": "artifacts", "uris": [str(path) for path in used.get(number, [])]}
            run.events.write_text(json.dumps(event) + "\n")

    return make


def test_the_newest_runs_stay_with_what_they_use(output, artifact, runs):
    reused = artifact("artifacts/Trainer/model/1", 0)
    unused = artifact("artifacts/Trainer/model/2", 0)
    unrecorded = artifact("artifacts/Trainer/model/3", 4)
    lonely = artifact("artifacts/Transform/graph/4", 1)
    runs({0: [reused, unused], 1: [lonely], 4: [reused]})

    cleaned = clean(output, keep=2)

    assert [run.id for run in output.all_runs()] == IDS[-2:]
    assert reused.is_dir()
    assert not unused.exists()
    assert unrecorded.is_dir(), "a killed run can't say what it made"
    assert not lonely.parent.exists()
    assert (cleaned.runs, cleaned.artifacts) == (3, 2)
    assert cleaned.freed_bytes >= 200


def test_uris_of_files_are_understood(output, artifact, runs):
    reused = artifact("artifacts/Trainer/model/1", 0)
    runs({4: [f"file://{reused}"]})

    clean(output, keep=1)

    assert reused.is_dir()


def test_what_killed_runs_left_goes(output, artifact, runs):
    system = artifact("artifacts/Trainer/.system/stateful_working_dir/7", 0)
    checkpoint = artifact("checkpoints/1234", 0)
    recent = artifact("checkpoints/5678", 4)
    scratch = artifact("scratch/beam", 0)
    runs({})

    clean(output, keep=1)

    assert not system.exists()
    assert not checkpoint.exists()
    assert recent.is_dir()
    assert not scratch.exists()


def test_what_serves_and_the_users_own_files_stay(output, artifact, runs):
    kept = [
        artifact("serving/classifier/1", 0),
        artifact("data/elpv", 0),
        artifact("runs/notes", 0),
        artifact("elsewhere", 0),
    ]
    output.metadata.write_bytes(b"sqlite")
    runs({})

    clean(output, keep=1)

    assert all(folder.is_dir() for folder in kept)
    assert output.metadata.is_file()


def test_fewer_runs_than_to_keep_lose_nothing(output, artifact, runs):
    old = artifact("artifacts/Trainer/model/1", 0)
    runs({})

    cleaned = clean(output, keep=9)

    assert (cleaned.runs, cleaned.artifacts, cleaned.freed_bytes) == (0, 0, 0)
    assert old.is_dir()


def test_an_output_without_runs_is_left_alone(output, artifact):
    folder = artifact("artifacts/Trainer/model/1", 0)

    assert clean(output, keep=1).artifacts == 0
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("store", "newest", "strange"),
    [("sqlite", 7, False), ("sqlite", 6, True), ("mysql://ann@db/mlmd", 90, True)],
)
def test_artifacts_that_the_store_does_not_know_go(output, artifact, store, newest, strange):
    model = artifact("artifacts/Trainer/model/7", 0)
    checkpoint = artifact("checkpoints/99", 0)
    artifact("artifacts/Trainer/.system/driver_execution/1795499651054525", 0)
    clear_strange_artifacts(output, "sqlite", 7)

    assert clear_strange_artifacts(output, store, newest) is strange

    assert model.exists() is not strange
    assert checkpoint.exists()
    assert not clear_strange_artifacts(output, store, newest)
