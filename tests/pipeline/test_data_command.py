"""`effnet data`, as a person and a program see it."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from typer.testing import CliRunner

from components.store import open_store
from pipeline import cli
from tests import planted
from tests.exported import serve
from tests.images import encode, rotated, write_class_folders

_COUNTS = {"hat": 30, "dress": 30}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command in this process, from an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    invoke = functools.partial(CliRunner().invoke, cli.app)
    return lambda *arguments: invoke(["data", *map(str, arguments)])


def test_planted_faults_are_named(data, tmp_path: Path) -> None:
    faults = planted.write(tmp_path / "images")
    result = data(tmp_path / "images", "--json", "--html", "page.html")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    found = document["data"]
    assert {row["id"]: row["reason"] for row in found["rejected"]} == faults.broken
    pairs = {tuple(sorted(pair)) for pair in found["near_duplicate_ids"]}
    assert pairs == {tuple(sorted(pair)) for pair in faults.duplicates}
    assert found["across_splits"] == len(faults.duplicates) == 20
    assert any("look the same lie in different splits" in line for line in document["advice"])
    page = Path("page.html").read_text(encoding="utf-8")
    for name in (*faults.broken, *next(iter(faults.duplicates))):
        assert name in page
    assert document["page"] == str(Path("page.html").absolute())


def test_a_person_reads_a_summary_and_finds_the_page_here(data, tmp_path: Path) -> None:
    images = write_class_folders(tmp_path / "images", _COUNTS)
    images[0].write_bytes(rotated())
    before = {path: path.read_bytes() for path in images}
    result = data(tmp_path / "images")
    assert result.exit_code == 0, result.output
    assert "images     60: " in result.stdout and "\x1b" not in result.stdout
    assert "look at: 1 images have an EXIF orientation" in result.stdout
    assert [path.name for path in Path.cwd().iterdir()] == ["effnet-data.html"]
    assert {path: path.read_bytes() for path in images} == before
    assert data(tmp_path / "images").exit_code == 0  # over its own page

    Path("effnet-data.html").write_text("mine")
    refused = data(tmp_path / "images")
    assert refused.exit_code == 2 and "--force" in refused.stderr
    assert Path("effnet-data.html").read_text() == "mine"


def test_what_a_run_would_refuse_is_shown_and_ends_with_2(data, tmp_path: Path) -> None:
    images = write_class_folders(tmp_path / "images", _COUNTS)
    for path in images[:6]:
        path.write_bytes(b"")
    result = data(tmp_path / "images")
    assert result.exit_code == 2
    assert "error: 6 images (10.0%) were set aside" in result.stdout
    assert "A run would end here: 6 images" in Path("effnet-data.html").read_text()
    assert data(tmp_path / "images", "--set", "data.max_rejected_share=0.2").exit_code == 0

    result = data(tmp_path / "images", "--json", "--set", "data.max_bytes=1")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["kind"] == "input"


def test_a_model_is_asked_about_the_labels(data, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "images", {**_COUNTS, "scarf": 3})
    models = serve(tmp_path / "output" / "serving" / "noise").parent
    result = data(tmp_path / "images", "--json", "--models", models)
    assert result.exit_code == 0, result.output
    issues = json.loads(result.stdout)["data"]["label_issues"]
    assert issues["judged"] == 60
    assert issues["method"].startswith("noise version 1, which may have learnt from them")
    assert "3 of classes that it doesn't know" in issues["method"]
    assert not list(Path.cwd().iterdir())  # a program asked for no page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{}/missing"], "doesn't exist"),
        (["{}/file.txt"], "is a file"),
        (["{}/empty"], "holds no files"),
        (["{}/one"], "only one class"),
        (["{}/spans/{{SPAN}}", "--set", "data.span='7'"], "span 7 isn't there"),
        (["{}/images", "--set", "data.max_pixels=0"], "data.max_pixels"),
        (["{}/images", "--models", "{}/missing"], "--models"),
        (["{}/images", "--html", "{}/images/page.html"], "among the data"),
        (["{}/images", "--set", "gate.rules=[{{metric: recall, class: cap, min: 0.1}}]"], "cap"),
    ],
)
def test_wrong_input_is_told_and_writes_nothing(
    arguments: list[str], told: str, data, tmp_path: Path
) -> None:
    write_class_folders(tmp_path / "images", {"hat": 2, "dress": 2})
    write_class_folders(tmp_path / "one", {"hat": 2})
    write_class_folders(tmp_path / "spans" / "1", {"hat": 2, "dress": 2})
    (tmp_path / "file.txt").touch()
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    result = data(*(argument.format(tmp_path) for argument in arguments))
    assert result.exit_code == 2
    assert told in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_the_newest_span_is_looked_at(data, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "1", _COUNTS)
    write_class_folders(tmp_path / "2", {"hat": 40, "dress": 31})
    document = json.loads(data(tmp_path / "{SPAN}", "--json").stdout)
    assert document["data"]["span"] == "2"
    assert sum(sum(c.values()) for c in document["data"]["images"].values()) == 71


def test_a_bucket_is_looked_at(data, s3: str, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "images", _COUNTS)
    open_store(s3).put(tmp_path / "images", "images")
    result = data(f"{s3}/images")
    assert result.exit_code == 0, result.output
    assert "images     60: " in result.stdout


def test_the_command_is_told_wrong_input_before_tensorflow_is_imported() -> None:
    code = (
        "import sys, pipeline.data_command; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'tfx', 'apache_beam')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_odd_labels_are_text(data, tmp_path: Path) -> None:
    planted.write(tmp_path / "images", planted.ODD_LABELS)
    result = data(tmp_path / "images", "--html", "page.html")
    assert result.exit_code == 0, result.output
    assert "<script>alert(1)</script>" in result.stdout
    page = Path("page.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page


def test_records_are_looked_at(data, tmp_path: Path) -> None:
    def feature(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for seed in range(60):
            features = {
                "image": feature(encode(seed)),
                "label": feature((b"hat", b"dress")[seed % 2]),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    result = data(tmp_path, "--html", tmp_path.parent / "page.html")
    assert result.exit_code == 0, result.output
    assert "images     60: " in result.stdout and "(tfrecord)" in result.stdout
