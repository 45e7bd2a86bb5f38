"""Publishing: complete before visible, once a model, never a number twice."""

import json
import os
import shutil
from pathlib import Path

import pytest

from components import model_versions
from components.model_versions import model_digest, publish, serving_version


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    """A folder laid out as a SavedModel; publishing reads names and bytes only."""
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"graph")
    (model / "variables" / "variables.index").write_bytes(b"weights")
    return model


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "classifier"


def publish_it(model: Path, serving: Path, **facts: str) -> tuple[model_versions.Version, bool]:
    return publish(model, serving, schema=None, facts=facts)


def test_a_version_carries_the_model_its_schema_and_facts(
    saved_model: Path, serving: Path, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.pbtxt"
    schema.write_text("feature {}")
    version, new = publish(saved_model, serving, schema=schema, facts={"run_id": "r1"})
    assert new
    assert version.path == serving / "1"
    assert version.facts["run_id"] == "r1"
    assert version.schema is not None
    assert version.schema.read_text() == "feature {}"
    assert (version.path / "variables" / "variables.index").read_bytes() == b"weights"
    assert model_digest(version.path) == version.digest == model_digest(saved_model)


def test_the_model_that_serves_is_not_published_again(saved_model: Path, serving: Path) -> None:
    first, _ = publish_it(saved_model, serving)
    again, new = publish_it(saved_model, serving)
    assert (again, new) == (first, False)
    assert os.listdir(serving) == ["1"]


def test_numbers_grow_and_the_highest_serves(saved_model: Path, serving: Path) -> None:
    publish_it(saved_model, serving)
    (saved_model / "saved_model.pb").write_bytes(b"another graph")
    publish_it(saved_model, serving)
    (saved_model / "saved_model.pb").write_bytes(b"graph")
    third, new = publish_it(saved_model, serving)
    assert (third.number, new) == (3, True)
    assert serving_version(serving) == third


def test_a_broken_folder_neither_serves_nor_is_written_to(saved_model: Path, serving: Path) -> None:
    publish_it(saved_model, serving)
    (serving / "7").mkdir()
    shutil.copy(saved_model / "variables" / "variables.index", serving / "7")
    found = serving_version(serving)
    assert found is not None
    assert found.number == 1
    (saved_model / "saved_model.pb").write_bytes(b"another graph")
    version, _ = publish_it(saved_model, serving)
    assert version.number == 8


def test_a_failure_on_the_way_leaves_nothing_visible(
    saved_model: Path, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_it(saved_model, serving)
    (saved_model / "saved_model.pb").write_bytes(b"another graph")

    def full_disk(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_versions, "_flush_tree", full_disk)
    with pytest.raises(OSError, match="No space"):
        publish_it(saved_model, serving)
    assert os.listdir(serving) == ["1"]


def test_leftovers_of_a_killed_push_are_removed(saved_model: Path, serving: Path) -> None:
    leftover = serving / ".staging-0123"
    leftover.mkdir(parents=True)
    (leftover / "saved_model.pb").write_bytes(b"half")
    assert serving_version(serving) is None
    publish_it(saved_model, serving)
    assert sorted(os.listdir(serving)) == ["1"]


def test_a_version_from_elsewhere_serves_but_has_no_digest(
    saved_model: Path, serving: Path
) -> None:
    shutil.copytree(saved_model, serving / "5")
    version = serving_version(serving)
    assert version is not None
    assert (version.number, version.digest, version.facts) == (5, "", {})


def test_the_digest_sees_names_and_bytes_but_not_the_extras(saved_model: Path) -> None:
    before = model_digest(saved_model)
    (saved_model / "assets.extra").mkdir()
    (saved_model / "assets.extra" / "model.json").write_text(json.dumps({}))
    assert model_digest(saved_model) == before
    (saved_model / "variables" / "variables.index").rename(saved_model / "variables" / "other")
    assert model_digest(saved_model) != before
