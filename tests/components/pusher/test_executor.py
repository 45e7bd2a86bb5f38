from pathlib import Path

import pytest
from pydantic import ValidationError
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts
from tfx.utils import json_utils, proto_utils

from components.errors import RolloutError
from components.features import EXTRA
from components.model_versions import (
    list_versions,
    publish,
    serving_state,
    versions_at,
)
from components.pusher import card, executor, kept, rollout
from components.pusher.kubernetes_config import KubernetesConfig
from components.run_report import model_card
from components.serving_baseline.executor import STATE_PROPERTY
from components.store import open_store
from tests.components.pusher import kube_api


@pytest.fixture
def api(tmp_path, monkeypatch):
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.01)
    api = kube_api.KubeApi()
    with kube_api.serving(api, tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield api


@pytest.fixture
def push(tmp_path, evaluation, statistics):
    """Runs the executor on a blessed model, judged against what serves."""

    def do(
        content: str = "model",
        keep: int | None = None,
        place: str = "",
        storage_uri: str = "pvc://models/classifier/{version}",
    ) -> standard_artifacts.PushedModel:
        place = place or str(tmp_path / "classifier")
        return _push(tmp_path, evaluation, statistics, content, keep, place, storage_uri)

    return do


def _push(
    folder: Path,
    evaluation: Path,
    statistics: standard_artifacts.ExampleStatistics,
    content: str,
    keep: int | None,
    place: str,
    storage_uri: str,
) -> standard_artifacts.PushedModel:
    artifacts = {
        "model": standard_artifacts.Model(),
        "model_blessing": standard_artifacts.ModelBlessing(),
        executor.SCHEMA: standard_artifacts.Schema(),
        kept.BASELINE: standard_artifacts.Model(),
        kept.INGESTION: simple_artifacts.File(),
        "pushed_model": standard_artifacts.PushedModel(),
    }
    for name, artifact in artifacts.items():
        artifact.uri = str(folder / name)
        Path(artifact.uri).mkdir(exist_ok=True)
    saved_model = folder / "model" / "Format-Serving"
    saved_model.mkdir(exist_ok=True)
    (saved_model / "saved_model.pb").write_text(content)
    (folder / executor.SCHEMA / "schema.pbtxt").write_text("")
    state = serving_state(versions_at(place).serving())
    artifacts[kept.BASELINE].set_string_custom_property(STATE_PROPERTY, state)
    artifacts[card.EVALUATION] = standard_artifacts.ModelEvaluation()
    artifacts[card.EVALUATION].uri = str(evaluation)
    artifacts[kept.STATISTICS] = statistics
    artifacts["model_blessing"].set_int_custom_property("blessed", 1)
    filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=place)
    settings = KubernetesConfig(
        namespace=kube_api.NAMESPACE,
        service_name=kube_api.NAME,
        storage_uri="pvc://models/{version}",
        ready_seconds=0.3,
    ).model_copy(update={"storage_uri": storage_uri})  # which need not be a valid one
    pushed = artifacts.pop("pushed_model")
    executor.Executor().Do(
        {name: [artifact] for name, artifact in artifacts.items()},
        {"pushed_model": [pushed]},
        {
            "push_destination": proto_utils.proto_to_json(
                pusher_pb2.PushDestination(filesystem=filesystem)
            ),
            "custom_config": json_utils.dumps(
                {
                    executor.FACTS: {"run_id": "1"},
                    executor.KEEP: keep,
                    executor.CARD: {card.NAME: "classifier", card.DATA: "", card.WORDS: {}},
                }
            ),
            executor.KUBERNETES: settings.model_dump_json(),
        },
    )
    return pushed


def _numbers(folder: Path) -> list[int]:
    return [version.number for version in list_versions(folder / "classifier")]


def test_a_pushed_version_is_what_the_cluster_serves(api, push):
    pushed = push()
    assert pushed.get_string_custom_property("pushed_version") == "1"
    assert api.served == [{"pvc://models/classifier/1": 100}]


def test_settings_that_cannot_be_read_leave_nothing_visible(api, push, tmp_path):
    with pytest.raises(ValidationError, match="storage_uri"):
        push(storage_uri="pvc://models/classifier")
    assert _numbers(tmp_path) == []
    assert api.requests == []


def test_a_push_that_the_cluster_does_not_take_fails_and_may_be_tried_again(api, push, tmp_path):
    api.bad["pvc://models/classifier/1"] = "fails"
    with pytest.raises(RolloutError, match="ModelLoadFailed"):
        push()
    assert not (tmp_path / "classifier" / "1").exists()
    assert push().get_string_custom_property("pushed_version") == "2"


def test_what_a_killed_attempt_of_this_run_published_is_withdrawn_as_well(api, push, tmp_path):
    model = tmp_path / "published"
    model.mkdir()
    (model / "saved_model.pb").write_text("one")
    publish(model, tmp_path / "classifier", schema=None, facts={"run_id": "1"})
    api.bad["pvc://models/classifier/1"] = "fails"
    with pytest.raises(RolloutError, match="Version 1 was withdrawn"):
        push("one")
    assert versions_at(str(tmp_path / "classifier")).serving() is None


def test_old_versions_stay_until_the_new_one_is_live(api, push, tmp_path):
    """Here the oldest one serves in the cluster, as where a rollback did not reach it."""
    for content in ("one", "two"):
        model = tmp_path / content
        model.mkdir()
        (model / "saved_model.pb").write_text(content)
        publish(model, tmp_path / "classifier", schema=None, facts={})
    api.put("pvc://models/classifier/1")
    api.bad["pvc://models/classifier/3"] = "fails"
    with pytest.raises(RolloutError, match="again, as before"):
        push("three", keep=2)
    assert _numbers(tmp_path) == [1, 2, 3]
    assert api.aim == ("pvc://models/classifier/1", None)
    push("four", keep=2)
    assert _numbers(tmp_path) == [2, 4]


def test_a_version_in_a_bucket_goes_live_by_its_own_address(api, push, s3, tmp_path):
    place = f"{s3}/serving/classifier"
    uri = f"{place}/{{version}}"
    for content in ("one", "two", "three"):
        pushed = push(content, keep=2, place=place, storage_uri=uri)
    assert pushed.get_string_custom_property(executor.DESTINATION_PROPERTY) == f"{place}/3"
    assert api.served[-1] == {f"{place}/3/": 100}
    assert [version.number for version in versions_at(place).all()] == [2, 3]
    text = open_store(f"{place}/3/{EXTRA}").read_text(model_card.FILE)
    assert text.startswith("# Model card: classifier")

    api.bad[f"{place}/4/"] = "fails"
    with pytest.raises(RolloutError, match="ModelLoadFailed"):
        push("four", place=place, storage_uri=uri)
    assert versions_at(place).serving().number == 3
    assert api.served[-1] == {f"{place}/3/": 100}
    assert not (tmp_path / "classifier").exists()
