"""`effnet models`, by the command itself on versions that publish made."""

import functools
import json
import re

import pytest
from typer.testing import CliRunner

from components.features import EXTRA, TRAINING_FILE
from components.model_versions import publish, read_hold, serving_version, versions_at
from components.pusher import rollout
from components.store import open_store
from pipeline import cli
from pipeline.clean import clean
from pipeline.lock import hold
from pipeline.models_cluster import service_of
from pipeline.served import served_at
from tests.components.pusher import kube_api

RUNS = [f"20261124-04250{number}-ab12" for number in range(4)]


@pytest.fixture
def effnet(output):
    """Runs `effnet models` on the output."""
    invoke = functools.partial(CliRunner().invoke, cli.app)
    return lambda *options: invoke(["models", *options, "--output", str(output.root)])


@pytest.fixture
def push(output, tmp_path):
    """Publishes version `number` of a model as its run did, and leaves the run's folder."""

    def do(number, model="classifier"):
        saved = tmp_path / f"{model}-{number}"
        (saved / EXTRA).mkdir(parents=True)
        (saved / "saved_model.pb").write_text(f"graph {number}")
        (saved / EXTRA / TRAINING_FILE).write_text('{"backbone": "efficientnet-b1"}')
        run = output.run(RUNS[number])
        run.path.mkdir(parents=True, exist_ok=True)
        metrics = {"accuracy": 0.9 + number / 100, "log_loss": None, "examples": 50.0}
        pushed_at = f"2026-11-24T04:3{number}:00+00:00"
        facts = {"run_id": run.id, "pushed_at": pushed_at, "metrics": metrics}
        facts |= {"model_card": "model_card.md"} if number > 1 else {}
        version, _ = publish(saved, output.serving(model), schema=None, facts=facts)
        return version

    return do


@pytest.fixture
def two(push, output):
    push(1)
    push(2)
    return output.serving("classifier")


def test_the_list_shows_the_newest_first_with_what_is_known(effnet, two):
    (two / "7").mkdir()
    (two / "7" / "saved_model.pb").touch()

    lines = effnet("list").stdout.splitlines()

    assert lines[0].split() == [
        "version",
        "state",
        "pushed",
        "(UTC)",
        "accuracy",
        "images",
        "backbone",
        "run",
    ]
    assert lines[1].split() == ["7", "serving", "-", "-", "-", "-", "-"], "put there by hand"
    shown = ["2", "visible", "2026-11-24", "04:32", "0.9200", "50", "efficientnet-b1", RUNS[2]]
    assert lines[2].split() == shown
    assert len(lines) == 4


def test_the_list_as_json_has_the_metrics_and_the_hold(effnet, two):
    effnet("rollback")

    listing = json.loads(effnet("list", "--json").stdout)

    assert (listing["model"], listing["serving"]) == ("classifier", 1)
    assert listing["hold"]["version"] == 1
    newest = listing["versions"][0]
    assert (newest["version"], newest["state"]) == (2, "withdrawn")
    assert newest["path"] == str(two / ".withdrawn" / "2")
    assert newest["metrics"] == {"accuracy": 0.92, "log_loss": None, "examples": 50.0}
    assert newest["run_id"] == RUNS[2]
    cards = [row["model_card"] for row in listing["versions"]]
    assert cards == [str(two / ".withdrawn/2/assets.extra/model_card.md"), None]


def test_a_version_keeps_its_accuracy_without_its_run(effnet, two, output):
    clean(output, keep=1)
    assert not output.run(RUNS[1]).path.exists()

    listing = json.loads(effnet("list", "--json").stdout)

    assert [row["metrics"]["accuracy"] for row in listing["versions"]] == [0.92, 0.91]


@pytest.mark.parametrize(
    "content",
    ["{", '{"metrics": [0.9]}', '{"metrics": {"accuracy": "high"}}'],
    ids=["no JSON", "no metrics by name", "no number"],
)
def test_a_damaged_record_is_told_beside_the_other_versions(effnet, two, content):
    file = two / "2" / EXTRA / "model.json"
    file.write_text(content)

    done = effnet("list")

    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[1].split()[:3] == ["2", "serving", "-"]
    assert "0.9100" in lines[2]
    assert re.search(f"version 2: .*{re.escape(str(two / '2'))}.* is damaged", done.stdout)
    rows = json.loads(effnet("list", "--json").stdout)["versions"]
    assert [row["problem"] is None for row in rows] == [False, True]
    assert effnet("rollback").exit_code == 0, "going back needs no record"


def test_the_page_of_all_runs_says_what_serves_after_a_switch(effnet, two, output):
    assert effnet("rollback").exit_code == 0
    assert not output.index.exists(), "a page is made by runs and by effnet report"
    output.index.write_text("Serving now: classifier version 2")
    assert effnet("promote", "2").exit_code == 0
    assert f"classifier version 2, by run {RUNS[2]}" in output.index.read_text()
    assert effnet("rollback").exit_code == 0
    assert f"classifier version 1, by run {RUNS[1]}" in output.index.read_text()


def test_going_back_forth_and_releasing_are_told(effnet, two):
    back = effnet("rollback")
    assert back.exit_code == 0
    assert f"version 1 serves now, {two / '1'};" in back.stdout
    assert re.search(r"on hold since .*went back from version 2 to 1.*models release", back.stdout)
    assert "on hold since" in effnet("list").stdout
    assert "runs push again" in effnet("release").stdout
    assert read_hold(two) is None
    assert effnet("release").stdout == "no hold is set: runs push\n"
    forth = effnet("promote", "2")
    assert "version 2 serves now" in forth.stdout
    assert "hold" not in forth.stdout
    assert effnet("rollback", "1").exit_code == 0
    assert serving_version(two).number == 1


def test_a_run_that_holds_the_output_is_not_waited_for(effnet, two, output):
    with hold(output.lock, "run 7", 0, pytest.fail):
        assert effnet("rollback").exit_code == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["rollback", "9"], "there is no version 9; there are: 1, 2 (serving)"),
        (["promote", "9"], "there is no version 9; there are: 1, 2 (serving)"),
        (["promote", "2"], "version 2 serves already"),
        (["list", "--model", "clasifier"], "did you mean 'classifier'?"),
        (["rollback", "one"], "Invalid value"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_changes_nothing(effnet, two, options, told):
    result = effnet(*options)

    assert result.exit_code == 2
    assert told in result.stderr
    assert serving_version(two).number == 2
    assert read_hold(two) is None


def test_of_several_models_one_must_be_named(effnet, two, push):
    push(1, "hats")

    assert "several models: classifier, hats; name one with --model" in effnet("list").stderr
    assert effnet("rollback", "--model", "classifier").exit_code == 0
    assert json.loads(effnet("list", "--model", "hats", "--json").stdout)["serving"] == 1


def test_without_a_model_that_is_told(effnet, output):
    output.root.mkdir()
    result = effnet("list", "--json")
    assert result.exit_code == 2
    assert "no model was ever pushed" in json.loads(result.stdout)["error"]["message"]


def test_a_mistyped_output_is_told_and_not_made(effnet, output):
    result = effnet("rollback")
    assert result.exit_code == 2
    assert "there is no output folder" in result.stderr
    assert not output.root.exists()


ADDRESS = f"pvc://{kube_api.NAME}/{{version}}"
CLUSTER = f"""
serving:
  kubernetes:
    namespace: {kube_api.NAMESPACE}
    service_name: {kube_api.NAME}
    storage_uri: {ADDRESS}
    ready_seconds: 0.3
"""


def uri(version):
    return ADDRESS.format(version=version)


@pytest.fixture
def api(tmp_path, monkeypatch):
    """A cluster that serves version 2."""
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.01)
    api = kube_api.KubeApi()
    api.put(uri(2))
    with kube_api.serving(api, tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield api


@pytest.fixture
def run_by(output):
    """Leaves the configuration of a run."""

    def do(number, text):
        run = output.run(RUNS[number])
        run.path.mkdir(parents=True, exist_ok=True)
        run.config.write_text(text)

    return do


def test_the_cluster_follows_as_the_newest_run_of_the_model_says(effnet, two, run_by, api):
    run_by(1, "serving: {}")
    run_by(2, CLUSTER)
    run_by(3, "serving: {model_name: hats}")

    back = effnet("rollback")

    assert back.exit_code == 0
    assert f"serves {uri(1)}" in back.stdout.splitlines()[-1]
    assert api.aim == (uri(1), None)
    assert effnet("promote", "2").exit_code == 0
    assert api.aim == (uri(2), None)


def test_without_a_service_in_the_configuration_the_cluster_is_left_alone(effnet, two, run_by, api):
    run_by(1, CLUSTER)
    run_by(2, "serving: {}")

    assert effnet("rollback").exit_code == 0
    assert api.requests == []


def test_a_configuration_can_be_named(effnet, two, tmp_path, api):
    file = tmp_path / "config.yaml"
    file.write_text(CLUSTER.replace("serving:", "serving:\n  model_name: hats"))
    other = effnet("rollback", "--config", str(file))
    assert (other.exit_code, serving_version(two).number) == (2, 2)
    assert "is of the model hats" in other.stderr
    file.write_text(CLUSTER)

    assert effnet("rollback", "--config", str(file)).exit_code == 0
    assert api.aim == (uri(1), None)


def test_what_is_left_to_do_is_told_where_the_cluster_refuses(effnet, two, run_by, api, output):
    run_by(2, CLUSTER)
    api.answers = [("patch", 403)]

    back = effnet("rollback")

    assert back.exit_code == 1
    assert serving_version(two).number == 1
    assert "Traceback" not in back.stderr
    assert "forbids to patch" in back.stderr
    command = f"effnet models promote 1 --output {output.root} --model classifier"
    assert command in back.stderr
    assert "kubectl patch inferenceservices classifier -n models --type merge" in back.stderr
    again = effnet(*command.split()[2:4], "--model", "classifier")
    assert again.exit_code == 0, "only the cluster was left"
    assert api.aim == (uri(1), None)


def test_a_version_that_does_not_get_ready_is_told_with_1(effnet, two, run_by, api):
    run_by(2, CLUSTER)
    api.bad[uri(1)] = "never"

    back = effnet("rollback")

    assert back.exit_code == 1
    assert "was not ready" in back.stderr
    assert serving_version(two).number == 1


def test_a_damaged_configuration_of_a_run_keeps_nobody_from_going_back(effnet, two, run_by):
    run_by(2, "serving: [")

    back = effnet("rollback")

    assert back.exit_code == 1
    assert serving_version(two).number == 1
    assert "is not valid YAML" in back.stderr
    assert "--config FILE" in back.stderr


def test_a_bucket_is_managed_as_a_folder(s3, tmp_path):
    output = f"{s3}/output"
    invoke = functools.partial(CliRunner().invoke, cli.app)

    def effnet(*options):
        return invoke(["models", *options, "--output", output])

    assert "no model was ever pushed" in effnet("list").stderr
    for number in (1, 2):
        saved = tmp_path / str(number)
        saved.mkdir()
        (saved / "saved_model.pb").write_text(f"graph {number}")
        facts = {"run_id": RUNS[number], "metrics": {"accuracy": 0.9 + number / 100}}
        versions_at(f"{output}/serving/classifier").publish(saved, schema=None, facts=facts)
    listing = json.loads(effnet("list", "--json").stdout)
    assert (listing["model"], listing["serving"]) == ("classifier", 2)
    assert listing["versions"][0]["path"] == f"{output}/serving/classifier/2"
    assert listing["versions"][0]["metrics"] == {"accuracy": 0.92}
    back = effnet("rollback")
    assert f"version 1 serves now, {output}/serving/classifier/1;" in back.stdout
    assert "on hold since" in back.stdout
    assert effnet("promote", "3").exit_code == 2
    assert "runs push again" in effnet("release").stdout
    assert "version 2 serves now" in effnet("promote", "2").stdout
    assert "ftp" in invoke(["models", "list", "--output", "ftp://host/x"]).stderr


def test_the_inference_service_of_a_bucket_is_found_by_the_newest_run(s3, tmp_path):
    store = open_store(f"{s3}/output")
    for number, service in ((1, "old"), (2, "shop")):
        serving = (
            f"serving: {{kubernetes: {{namespace: models, service_name: {service}, "
            f"storage_uri: '{s3}/output/serving/classifier/{{version}}'}}}}\n"
        )
        store.write_text(f"runs/{RUNS[number]}/config.yaml", serving)
    store.write_text("runs/notes/config.yaml", "no: run")
    found = service_of(served_at(store.address), "classifier", None)()
    assert found.service_name == "shop"
    assert found.uri(3) == f"{s3}/output/serving/classifier/3/"
    assert service_of(served_at(store.address), "hats", None)() is None
