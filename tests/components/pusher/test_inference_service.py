import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from components import kubernetes_api
from components.errors import ClusterError, EffnetError, RolloutError
from components.model_versions import Version, list_versions, roll_back, serving_version
from components.pusher import inference_service, rollout
from components.pusher.inference_service import check_access, follow, go_live
from components.pusher.kubernetes_config import KubernetesConfig
from components.store import StoreError
from tests.components.pusher import kube_api

OLD, NEW = "pvc://models/classifier/1", "pvc://models/classifier/2"


@pytest.fixture
def settings() -> Callable[..., KubernetesConfig]:
    def build(**changes: object) -> KubernetesConfig:
        return KubernetesConfig.parse(
            {
                "namespace": kube_api.NAMESPACE,
                "service_name": kube_api.NAME,
                "storage_uri": "pvc://models/classifier/{version}",
                "ready_seconds": 0.3,
                "step_seconds": 0.02,
                **changes,
            }
        )

    return build


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., object]]:
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.01)
    open_servers = []

    def start(**options: object) -> object:
        api = kube_api.KubeApi(**options)
        server = kube_api.serving(api, tmp_path)
        monkeypatch.setenv("KUBECONFIG", str(server.__enter__()))
        open_servers.append(server)
        return api

    yield start
    for server in open_servers:
        server.__exit__(None, None, None)


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """The second of two published versions."""
    for number in ("1", "2"):
        folder = tmp_path / "classifier" / number
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"model")
    return Version(2, folder)


def _serving_number(version: Version) -> int:
    found = serving_version(version.path.parent)
    assert found is not None
    return found.number


def _at_the_second(api: object, then: Callable[[], None]) -> Callable[[], None]:
    """Does something before the second patch."""
    return lambda: api.before.update(patch=then)


def test_a_service_that_is_not_there_is_created_with_the_version(cluster, settings, version):
    api = cluster()
    go_live(settings(), version, new=True)
    assert api.service["spec"]["predictor"]["model"] == {
        "modelFormat": {"name": "tensorflow"},
        "runtime": "effnet-tensorflow-serving",
        "storageUri": NEW,
    }
    assert api.served == [{NEW: 100}]


def test_a_service_that_is_there_keeps_everything_but_its_address(cluster, settings, version):
    api = cluster()
    api.put(OLD, labels={"team": "a"})
    go_live(settings(), version, new=True)
    assert api.aim == (NEW, None)
    assert api.predictor["minReplicas"] == 1
    assert api.service["metadata"]["labels"] == {"team": "a"}
    assert api.served == [{OLD: 100}, {NEW: 100}]
    assert _serving_number(version) == 2


def test_requests_go_over_step_by_step(cluster, settings, version):
    api = cluster()
    api.put(OLD)
    go_live(settings(steps=[10, 50, 100]), version, new=True)
    assert api.served == [{OLD: 100}, {NEW: 10, OLD: 90}, {NEW: 50, OLD: 50}, {NEW: 100}]


def test_an_old_ready_is_not_taken_for_the_new_versions(cluster, settings, version):
    # Until it goes back the status doesn't follow: it tells that the former version is ready.
    api = cluster(lag=10**6)
    api.put(OLD)
    api.before["patch"] = _at_the_second(api, lambda: setattr(api, "lag", 2))
    with pytest.raises(RolloutError, match=r"not ready with .*/2 .* after 0\.3 seconds"):
        go_live(settings(), version, new=True)
    assert api.aim == (OLD, None)
    assert _serving_number(version) == 1


@pytest.mark.parametrize("steps", [[100], [10, 100]])
@pytest.mark.parametrize("state", ["never", "fails"])
@pytest.mark.parametrize("mode", ["Knative", "Standard"])
def test_a_version_that_does_not_get_ready_is_undone(
    cluster, settings, version, mode, state, steps
):
    api = cluster(mode=mode)
    api.put(OLD)
    api.bad[NEW] = state
    with pytest.raises(RolloutError, match=r"again, as before. Version 2 was withdrawn") as error:
        go_live(settings(steps=steps), version, new=True)
    assert ("ModelLoadFailed, exit code 1, no such file" in str(error.value)) == (state == "fails")
    assert api.aim == (OLD, None)
    assert api.served == [{OLD: 100}]
    assert _serving_number(version) == 1
    assert (version.path.parent / ".failed" / "2" / "saved_model.pb").is_file()


def test_a_version_that_fails_at_its_second_step_gets_no_further_request(
    cluster, settings, version
):
    api = cluster()
    api.put(OLD)

    api.before["patch"] = _at_the_second(api, lambda: api.bad.update({NEW: "fails"}))
    with pytest.raises(RolloutError, match="Version 2 was withdrawn"):
        go_live(settings(steps=[10, 100]), version, new=True)
    # Never more than its share at the time, and in the end the former one has all requests.
    assert api.served[:2] == [{OLD: 100}, {NEW: 10, OLD: 90}]
    assert api.served[-1] == {OLD: 100}
    assert api.aim == (OLD, None)


def test_a_created_service_that_does_not_get_ready_is_deleted(cluster, settings, version):
    api = cluster()
    api.bad[NEW] = "never"
    with pytest.raises(RolloutError, match=r"was deleted. Version 2 was withdrawn"):
        go_live(settings(), version, new=True)
    assert api.service is None


def test_a_manifest_without_a_model_gets_its_first(cluster, settings, version):
    api = cluster()
    api.put(None)
    go_live(settings(steps=[10, 100]), version, new=True)
    assert api.served == [{NEW: 100}]


def test_standard_mode_goes_to_all_at_once_with_a_warning(
    cluster, settings, version, tmp_path, monkeypatch
):
    monkeypatch.setenv("EFFNET_RUN_DIR", str(tmp_path))
    api = cluster(mode="RawDeployment")
    api.put(OLD)
    go_live(settings(steps=[10, 100]), version, new=True)
    assert api.served == [{OLD: 100}, {NEW: 100}]
    assert "is in Standard mode" in (tmp_path / "events.jsonl").read_text()


def test_a_version_that_serves_already_is_left_alone(cluster, settings, version):
    api = cluster()
    api.put(NEW)
    go_live(settings(steps=[10, 100]), version, new=False)
    assert api.requests == ["get"]


def test_a_push_that_was_killed_half_way_goes_on(cluster, settings, version):
    api = cluster()
    api.put(OLD)
    api.change({"spec": {"predictor": {"canaryTrafficPercent": 50, "model": {"storageUri": NEW}}}})
    api.reconcile()
    go_live(settings(steps=[10, 50, 100]), version, new=False)
    assert api.served == [{OLD: 100}, {NEW: 50, OLD: 50}, {NEW: 100}]


def test_a_change_of_the_status_meanwhile_is_no_reason_to_give_way(cluster, settings, version):
    api = cluster()
    api.put(OLD)
    api.before["patch"] = api.touch
    go_live(settings(), version, new=True)
    assert api.requests.count("patch") == 2
    assert api.aim == (NEW, None)


@pytest.mark.parametrize("moment", ["patch", "get"])
def test_of_two_pushers_one_gives_way(cluster, settings, version, moment):
    api = cluster()
    api.put(OLD)
    theirs = {"spec": {"predictor": {"model": {"storageUri": "pvc://models/classifier/9"}}}}

    def step_in() -> None:
        if moment == "get":
            api.before["get"] = lambda: api.change(theirs)
        else:
            api.change(theirs)

    api.before["patch"] = step_in
    with pytest.raises(RolloutError, match=r"somebody else .*classifier/9.* Version 2 was withdr"):
        go_live(settings(), version, new=True)
    assert api.aim == ("pvc://models/classifier/9", None)
    assert _serving_number(version) == 1


@pytest.mark.parametrize("verb", ["get", "patch"])
def test_failures_that_pass_are_waited_out(cluster, settings, version, verb):
    api = cluster()
    api.put(OLD)
    api.answers = [(verb, 500), (verb, 429)]
    go_live(settings(ready_seconds=20), version, new=True)
    assert api.aim == (NEW, None)


@pytest.mark.parametrize("verb", ["create", "patch"])
def test_a_request_whose_answer_is_lost_is_not_done_twice(cluster, settings, version, verb):
    api = cluster()
    if verb == "patch":
        api.put(OLD)
    api.answers = [(verb, kube_api.LOST)]
    go_live(settings(), version, new=True)
    assert api.requests.count(verb) == 2
    assert len(api.patches) == (verb == "patch")
    assert api.served[-1] == {NEW: 100}


def test_a_service_whose_creation_was_not_answered_is_deleted_again(cluster, settings, version):
    api = cluster()
    api.bad[NEW] = "never"
    api.answers = [("create", kube_api.LOST)]
    with pytest.raises(RolloutError, match=r"was deleted. Version 2 was withdrawn"):
        go_live(settings(), version, new=True)
    assert api.service is None


def test_a_service_that_somebody_else_created_meanwhile_stays(cluster, settings, version):
    api = cluster()
    api.bad[NEW] = "never"
    api.before["create"] = lambda: api.put(NEW)
    with pytest.raises(RolloutError, match=r"left as it was. Version 2 was withdrawn"):
        go_live(settings(), version, new=True)
    assert api.aim == (NEW, None)


@pytest.mark.parametrize("former", [OLD, "pvc://models/classifier/9"])
def test_a_rollback_during_a_rollout_ends_it_and_is_followed(cluster, settings, version, former):
    """Also where something else than the version that serves now had the requests before."""
    api = cluster()
    api.put(former)
    api.bad[NEW] = "never"
    api.before["patch"] = lambda: api.before.update(get=lambda: roll_back(version.path.parent))
    with pytest.raises(
        RolloutError, match=r"version 1 serves in .* by now.* serves version 1, as the folder says"
    ):
        go_live(settings(ready_seconds=20), version, new=True)
    assert api.aim == (OLD, None)
    assert (version.path.parent / ".withdrawn" / "2").is_dir(), "by hand, so it stays refused"
    assert not (version.path.parent / ".failed").exists()


def test_a_rollback_while_a_step_is_watched_ends_the_rollout(cluster, settings, version):
    api = cluster()
    api.put(OLD)

    def go_back() -> None:
        while {NEW: 10, OLD: 90} not in api.served:
            time.sleep(0.01)
        roll_back(version.path.parent)

    person = threading.Thread(target=go_back)
    person.start()
    with pytest.raises(RolloutError, match=r"version 1 serves in .* by now"):
        go_live(settings(steps=[10, 100], step_seconds=60, ready_seconds=20), version, new=True)
    person.join()
    assert api.aim == (OLD, None)
    assert all(shares.get(NEW, 0) <= 10 for shares in api.served)


def test_a_service_that_cannot_follow_a_rollback_is_told_with_what_mends_it(
    cluster, settings, version
):
    api = cluster()
    api.put(OLD)
    api.bad[NEW] = "never"

    def go_back() -> None:
        roll_back(version.path.parent)
        api.answers.extend([("get", 403)])

    api.before["patch"] = lambda: api.before.update(get=go_back)
    with pytest.raises(RolloutError, match=r"forbids to get .* kubectl patch .*classifier/1") as e:
        go_live(settings(ready_seconds=20), version, new=True)
    assert "version 1 serves in" in str(e.value)


def test_a_hold_during_a_rollout_undoes_it(cluster, settings, version):
    api = cluster()
    api.put(OLD)
    api.bad[NEW] = "never"
    hold = version.path.parent / ".hold"
    api.before["patch"] = lambda: api.before.update(get=hold.touch)
    with pytest.raises(
        RolloutError, match=r"pushing is on hold.*again, as before. Version 2 was withdrawn"
    ):
        go_live(settings(ready_seconds=20), version, new=True)
    assert api.aim == (OLD, None)
    assert _serving_number(version) == 1


def test_under_a_hold_the_cluster_still_gets_what_serves(cluster, settings, version):
    api = cluster()
    api.put(NEW)
    first = roll_back(version.path.parent)
    go_live(settings(), first, new=False)
    assert api.aim == (OLD, None)


@pytest.mark.parametrize(
    ("new", "words", "serving"),
    [
        (True, "Version 2 was withdrawn", 1),
        (False, "Version 2, which an earlier push published, stays", 2),
    ],
)
def test_a_hold_that_cannot_be_read_ends_a_push_as_any_failure_does(
    cluster, settings, version, caplog, new, words, serving
):
    api = cluster()
    api.put(OLD)
    (version.path.parent / ".hold").mkdir()
    with pytest.raises(IsADirectoryError):
        go_live(settings(), version, new=new)
    assert f"left as it was. {words}" in caplog.text
    assert api.aim == (OLD, None)
    assert _serving_number(version) == serving


@pytest.mark.parametrize("mode", ["Knative", "Standard"])
def test_the_service_follows_a_rollback(cluster, settings, version, mode):
    api = cluster(mode=mode)
    api.put(NEW)
    follow(settings(steps=[10, 100]), roll_back(version.path.parent))
    assert api.aim == (OLD, None)
    assert api.served == [{NEW: 100}, {OLD: 100}]


def test_a_service_that_is_half_way_follows_without_giving_the_new_version_more(
    cluster, settings, version
):
    api = cluster()
    api.put(OLD)
    api.change({"spec": {"predictor": {"canaryTrafficPercent": 10, "model": {"storageUri": NEW}}}})
    api.reconcile()
    follow(settings(), roll_back(version.path.parent))
    assert api.aim == (OLD, None)
    assert api.patches[0]["spec"]["predictor"]["canaryTrafficPercent"] == 0
    assert all(shares.get(NEW, 0) <= 10 for shares in api.served)


def test_two_that_follow_the_same_version_do_not_give_way_to_each_other(cluster, settings, version):
    api = cluster()
    api.put(OLD)
    api.change({"spec": {"predictor": {"canaryTrafficPercent": 10, "model": {"storageUri": NEW}}}})
    api.reconcile()
    first = roll_back(version.path.parent)
    failures = []

    def follow_it() -> None:
        try:
            follow(settings(ready_seconds=20), first)
        except EffnetError as error:
            failures.append(error)

    both = [threading.Thread(target=follow_it) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert failures == []
    assert api.aim == (OLD, None)


def test_who_follows_ends_where_another_version_begins_to_serve(cluster, settings, version):
    api = cluster()
    api.put(NEW)
    api.bad[OLD] = "never"
    first = roll_back(version.path.parent)
    back = version.path.parent / ".withdrawn" / "2"
    api.before["patch"] = lambda: api.before.update(get=lambda: back.rename(version.path))
    with pytest.raises(RolloutError, match=r"version 2 serves in .* by now"):
        follow(settings(ready_seconds=20), first)


def test_a_version_that_failed_may_be_pushed_again(cluster, settings, version):
    api = cluster()
    api.put(OLD)
    api.bad[NEW] = "never"
    with pytest.raises(RolloutError):
        go_live(settings(), version, new=True)
    assert [found.state for found in list_versions(version.path.parent)] == ["serving", "failed"]


@pytest.mark.parametrize(
    ("verb", "status", "words"),
    [
        ("get", 403, "forbids to get .* needs the verbs get, create, patch, delete"),
        ("patch", 403, "forbids to patch .*scripted 403"),
        ("get", 404, "knows no inferenceservices.serving.kserve.io.*install KServe"),
        ("get", 401, "renew the credentials"),
        ("patch", 422, "refuses to patch .*422"),
    ],
)
def test_what_a_person_can_mend_is_named(cluster, settings, version, verb, status, words):
    api = cluster()
    api.put(OLD)
    api.answers = [(verb, status)]
    with pytest.raises(ClusterError, match=f"{words}.*left as it was. Version 2 was withdrawn"):
        go_live(settings(), version, new=True)
    assert api.aim == (OLD, None)
    assert _serving_number(version) == 1


def test_a_version_stays_where_going_back_fails_too(cluster, settings, version):
    api = cluster()
    api.put(OLD)
    api.bad[NEW] = "fails"
    api.before["patch"] = lambda: api.answers.append(("patch", 403))
    with pytest.raises(RolloutError, match=r"Going back failed too: .*forbids.* Version 2 stays"):
        go_live(settings(), version, new=True)
    assert api.aim == (NEW, None)
    assert _serving_number(version) == 2


def test_a_failure_is_told_whole_where_its_cause_is_looked_for(cluster, settings, version):
    api = cluster()
    api.put(OLD)
    api.before["patch"] = lambda: api.answers.extend([("get", 403), ("get", 403)])
    with pytest.raises(RolloutError, match=r"forbids to get .* Going back failed too") as error:
        go_live(settings(), version, new=True)
    assert error.value.__cause__ is None
    assert error.value.__context__ is None


def test_an_interrupted_rollout_is_undone(cluster, settings, version, monkeypatch):
    api = cluster()
    api.put(OLD)
    api.bad[NEW] = "never"
    naps = iter([0.01, 0.01])
    sleep = time.sleep

    def nap(seconds: float) -> None:
        left = next(naps, None)
        if left is None:
            monkeypatch.setattr(rollout.time, "sleep", sleep)
            raise KeyboardInterrupt
        sleep(left)

    monkeypatch.setattr(rollout.time, "sleep", nap)
    with pytest.raises(KeyboardInterrupt):
        go_live(settings(ready_seconds=5), version, new=True)
    assert api.aim == (OLD, None)
    assert _serving_number(version) == 1


def test_a_version_of_an_earlier_push_is_not_withdrawn(cluster, settings, version):
    api = cluster()
    api.put(OLD)
    api.bad[NEW] = "fails"
    with pytest.raises(RolloutError, match="earlier push published, stays"):
        go_live(settings(), version, new=False)
    assert api.aim == (OLD, None)
    assert _serving_number(version) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"spec": {"predictor": {"model": None, "containers": [{"name": "kserve-container"}]}}},
            "no spec.predictor.model",
        ),
        ({"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}}, "was stopped"),
    ],
)
def test_a_service_that_a_new_address_would_not_bring_to_serve_is_refused(
    cluster, settings, version, change, words
):
    api = cluster()
    api.put(OLD)
    api.change(change)
    with pytest.raises(ClusterError, match=words):
        go_live(settings(), version, new=True)
    assert "patch" not in api.requests


@pytest.mark.parametrize(("status", "words"), [(403, "forbids"), (404, "install KServe")])
def test_what_is_amiss_shows_before_a_training(cluster, settings, status, words):
    api = cluster()
    check_access(settings())
    api.put(OLD)
    check_access(settings())
    api.answers = [("get", status)]
    with pytest.raises(ClusterError, match=words):
        check_access(settings())
    assert set(api.requests) == {"get"}


def test_an_api_that_does_not_answer_is_told_before_a_training(
    settings, cluster, tmp_path, monkeypatch
):
    cluster()
    file = tmp_path / "kubeconfig"
    file.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", file.read_text()))
    monkeypatch.setattr(kubernetes_api, "_RETRIES", urllib3.Retry(total=1, backoff_factor=0.01))
    with pytest.raises(ClusterError, match="could not be reached to get inferenceservices"):
        check_access(settings())


def test_no_access_to_a_cluster_is_told(settings, version, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match=r"no access to a cluster.*Version 2 was withdrawn"):
        go_live(settings(), version, new=True)


def test_the_token_reaches_no_log_and_no_message(cluster, settings, version, caplog):
    caplog.set_level(logging.DEBUG)
    api = cluster()
    api.put(OLD)
    api.answers = [("patch", 403)]
    with pytest.raises(EffnetError) as error:
        go_live(settings(), version, new=True)
    assert kube_api.TOKEN not in caplog.text + str(error.value)


@pytest.mark.parametrize("held", [False, True])
def test_a_retry_does_not_take_away_what_the_service_points_at(cluster, settings, version, held):
    """Its first attempt was killed after it had given the version a share."""
    api = cluster()
    api.put(OLD)
    api.change({"spec": {"predictor": {"canaryTrafficPercent": 50, "model": {"storageUri": NEW}}}})
    api.reconcile()
    api.bad[NEW] = "fails"
    if held:
        (version.path.parent / ".hold").touch()
    with pytest.raises(RolloutError, match="stays in the folder, as InferenceService"):
        go_live(settings(), version, new=True)
    assert api.aim == (NEW, 50)
    assert _serving_number(version) == 2


def test_a_folder_that_can_not_be_read_keeps_no_service_from_going_back(
    cluster, settings, version, monkeypatch
):
    api = cluster()
    api.put(OLD)
    own = inference_service.versions_at

    def lost(place):
        raise StoreError("the bucket can't be reached")

    api.before["patch"] = lambda: monkeypatch.setattr(inference_service, "versions_at", lost)
    with pytest.raises(StoreError) as error:
        go_live(settings(), version, new=True)
    monkeypatch.setattr(inference_service, "versions_at", own)
    assert "the bucket can't be reached" in str(error.value)
    assert "again, as before. Version 2 could not be withdrawn" in str(error.value)
    assert api.aim == (OLD, None)
