import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.kfp.staging import staged


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the launcher's mounts are."""
    monkeypatch.setenv("EFFNET_KFP_MOUNTS", str(tmp_path / "pod"))
    folder = tmp_path / "pod" / "minio" / "bucket"
    (folder / "examples" / "Split-train").mkdir(parents=True)
    (folder / "examples" / "Split-train" / "part-0").write_text("rows")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "volume" / "task"


def listed(uri: str, **more: Any) -> dict[str, Any]:
    return {"artifacts": [{"uri": uri, "metadata": {"version": 1.0}, **more}]}


GIVEN = {
    "inputs": {
        "parameterValues": {"a": 1},
        "artifacts": {"examples": listed("minio://bucket/examples"), "none": listed("s3://b/none")},
    },
    "outputs": {
        "artifacts": {"model": listed("minio://bucket/model"), "executor-logs": listed("s3://b/l")},
        "outputFile": "/tmp/output.json",
    },
}


def place(told: dict[str, Any], side: str, key: str) -> Path:
    (artifact,) = told[side]["artifacts"][key]["artifacts"]
    assert artifact["metadata"] == {"version": 1.0}
    return Path(artifact["uri"])


def test_inputs_go_there_and_outputs_come_back(pod, folder):
    with staged(GIVEN, folder) as told:
        examples = place(told, "inputs", "examples")
        assert examples.is_relative_to(folder)
        assert (examples / "Split-train" / "part-0").read_text() == "rows"
        assert list(place(told, "inputs", "none").iterdir()) == []
        model = place(told, "outputs", "model")
        assert model.is_dir() and model.is_relative_to(folder)
        (model / "Format-Serving").mkdir()
        (model / "Format-Serving" / "saved_model.pb").write_text("model")
        assert "executor-logs" not in told["outputs"]["artifacts"]
        assert told["inputs"]["parameterValues"] == {"a": 1}
        assert told["outputs"]["outputFile"] == "/tmp/output.json"
    assert (pod / "model" / "Format-Serving" / "saved_model.pb").read_text() == "model"
    assert not folder.exists()
    assert GIVEN["inputs"]["artifacts"]["examples"] == listed("minio://bucket/examples")


def test_the_path_that_the_launcher_names_goes_before_its_address(pod, folder, tmp_path):
    shutil.move(pod / "examples", tmp_path / "elsewhere")
    artifact = listed("minio://bucket/examples", customPath=str(tmp_path / "elsewhere"))
    given = {"inputs": {"artifacts": {"examples": artifact}}, "outputs": {}}
    with staged(given, folder) as told:
        (described,) = told["inputs"]["artifacts"]["examples"]["artifacts"]
        assert (Path(described["uri"]) / "Split-train" / "part-0").is_file()
        assert "customPath" not in described


def test_work_that_fails_leaves_nothing_and_gives_nothing_back(pod, folder):
    with pytest.raises(RuntimeError), staged(GIVEN, folder) as told:
        (place(told, "outputs", "model") / "torn").touch()
        raise RuntimeError
    assert not folder.exists()
    assert not (pod / "model").exists()


def test_what_a_former_attempt_left_is_gone(pod, folder):
    torn = folder / "outputs" / "model" / "0" / "torn"
    torn.parent.mkdir(parents=True)
    torn.touch()
    with staged(GIVEN, folder) as told:
        assert list(place(told, "outputs", "model").iterdir()) == []
