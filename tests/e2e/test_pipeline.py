"""The whole pipeline on small real images: killed, run, run again, refused, a new class.

The steps follow one another on one output folder, as a user's runs do.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from typer.testing import CliRunner

from components import run_events
from components.errors import DataError
from components.image_example_gen.report import REJECTED_FILE
from components.model_versions import list_versions, release, serving_version
from components.store import open_store
from pipeline import cli, local, schema_commands
from pipeline.config import PipelineConfig
from pipeline.config_reference import render
from pipeline.failures import failed_outcome
from pipeline.layout import Output, new_run_id
from pipeline.options import effective_config
from pipeline.progress import Progress, read_events
from pipeline.run_pages import write_pages
from pipeline.summary import Outcome

pytestmark = pytest.mark.e2e

EFFNET = [sys.executable, "-m", "pipeline.cli"]
COLOURS = {"blue": (40, 60, 200), "red": (200, 50, 40), "green": (60, 180, 60)}
CONFIG = """
transform: {image_size: 64}
trainer:
  augmentation: {views: 1}
  stages:
    - {train: head, epochs: 3, learning_rate: 0.01}
    - {train: top_blocks, blocks: 1, epochs: 1, learning_rate: 0.0001}
gate:
  rules:
    - {metric: accuracy, min: 0.7}
    - {metric: accuracy, slice: {finish: matt}, min: 0.6, max_decline: 0.05}
  slices: [finish]
"""
UNREADABLE = 1
LEARNS_NOTHING = "trainer.stages=[{train: head, epochs: 1, learning_rate: 1.0e-9}]"
# Everything that a new baseline doesn't concern.
FROM_THE_CACHE = ("ImageExampleGen", "StatisticsGen", "SchemaGen", "Transform", "Trainer")


def picture(label: str, seed: int) -> Image.Image:
    """A coloured field under noise, with a darker disc somewhere."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, 25, (72, 80, 3)) + COLOURS[label]
    rows, columns = np.ogrid[:72, :80]
    disc = (rows - rng.integers(20, 50)) ** 2 + (columns - rng.integers(20, 60)) ** 2 < 200
    pixels[disc] *= 0.4
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_data(root: Path, labels: tuple[str, ...], count: int = 45) -> Path:
    """Writes PNGs, one of them broken, and their manifest."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "images/broken.png").write_text("no picture", encoding="utf-8")
    with open(root / "labels.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label", "finish"])
        rows.writerow(["images/broken.png", labels[0], "matt"])
        for label in labels:
            for number in range(count):
                name = f"images/{label}-{number}.png"
                picture(label, 1000 * len(label) + number).save(root / name)
                rows.writerow([name, label, "matt" if number % 2 else "gloss"])
    return root


@dataclass
class Project:
    """A user's data, configuration and output folder."""

    data: Path
    config_file: Path
    output: Output

    def command(self, *options: str) -> list[str]:
        where = ["--data", str(self.data), "--output", str(self.output.root)]
        return [*EFFNET, "run", *where, "--config", str(self.config_file), *options]

    def run_here(self, config: PipelineConfig) -> tuple[Outcome, Progress]:
        """Runs in this process, which has imported TFX already, and leaves its page."""
        run = self.output.run(new_run_id())
        run.path.mkdir(parents=True)
        run.config.write_text(render(config), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(run_events.RUN_DIR_VARIABLE, str(run.path))
            try:
                outcome = local.run_pipeline(self.output, run, str(self.data))
                outcome.write(run)
            except Exception as error:
                failed_outcome(error).write(run)
                raise
            finally:
                write_pages(str(self.output.root), run.id, pytest.fail)
        return outcome, read_events(run.events)

    @property
    def newest_page(self) -> str:
        """What the page of the last run says."""
        (*_, newest) = self.output.all_runs()
        return newest.report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("project")
    (root / "config.yaml").write_text(CONFIG, encoding="utf-8")
    data = write_data(root / "data", ("blue", "red"))
    yield Project(data, root / "config.yaml", Output.at(root / "output"))
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def config(project: Project) -> PipelineConfig:
    return effective_config(project.config_file)


@pytest.fixture(scope="module")
def first_run(project: Project) -> Mapping[str, Any]:
    """A run that was killed, and the one after it, by the command."""
    kill_when_started(project, "Transform")
    done = subprocess.run(project.command("--json"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kill_when_started(project: Project, node: str) -> None:
    """Kills the command outright; what it started goes with it."""
    killed = subprocess.Popen(project.command(), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        runs = project.output.all_runs()
        nodes = read_events(runs[0].events).nodes if runs and runs[0].events.exists() else {}
        if node in nodes and nodes[node].started is not None:
            break
        time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()


def states(progress: Progress) -> dict[str, str]:
    return {name: node.state for name, node in progress.nodes.items()}


def test_after_a_kill_the_next_run_goes_on_and_pushes(
    project: Project, first_run: Mapping[str, Any]
) -> None:
    assert first_run["verdict"] == "pushed"
    assert first_run["pushed_path"] == str(project.output.serving("classifier") / "1")
    assert first_run["metrics"]["accuracy"] >= 0.7
    assert first_run["serving"]["latency"]["p50_ms"] > 0
    assert set(first_run["slices"]) >= {"label=blue", "label=red", "finish=matt"}
    assert {rule["slice"] for rule in first_run["rules"]} == {None, "finish=matt"}
    assert any("gRPC v2" in rule["metric"] for rule in first_run["serving"]["rules"])
    assert sum(first_run["images"].values()) == 90 + UNREADABLE
    (killed, finished) = project.output.all_runs()
    assert not killed.outcome.exists()
    progress = read_events(finished.events)
    assert states(progress)["ImageExampleGen"] == "cached"
    assert states(progress)["Transform"] == "done"
    assert json.loads(finished.summary.read_text(encoding="utf-8")) == first_run
    assert effective_config(finished.config) == effective_config(project.config_file)
    assert "pushed" in project.newest_page
    assert "finish=matt" in project.newest_page
    index = project.output.index.read_text(encoding="utf-8")
    assert f'href="runs/{finished.id}/report.html"' in index
    assert f"classifier version 1, by run {finished.id}" in index
    assert killed.id in index


def test_the_pushed_model_answers_raw_files(project: Project, first_run: Mapping[str, Any]) -> None:
    files = [next(project.data.glob(f"images/{label}-*.png")) for label in ("red", "blue")]
    model = tf.saved_model.load(first_run["pushed_path"])
    answer = model.signatures["serving_default"](
        image=tf.constant([file.read_bytes() for file in files])
    )
    assert answer["label"].numpy().tolist() == [b"red", b"blue"]
    np.testing.assert_allclose(tf.reduce_sum(answer["probabilities"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(
        answer["score"], tf.reduce_max(answer["probabilities"], axis=1), atol=1e-6
    )


@pytest.mark.usefixtures("first_run")
def test_the_same_again_is_unchanged(project: Project, config: PipelineConfig) -> None:
    (ingestion,) = project.output.artifacts.glob("ImageExampleGen/ingestion/*")
    (ingestion / "report").mkdir(exist_ok=True)
    (ingestion / "report" / "planted.json").write_text("{}", encoding="utf-8")
    outcome, progress = project.run_here(config)
    model_dir = project.output.serving("classifier")
    assert outcome.verdict == "unchanged"
    assert outcome.pushed_path == str(project.output.serving("classifier") / "1")
    found = states(progress)
    assert {name: found[name] for name in FROM_THE_CACHE} == dict.fromkeys(FROM_THE_CACHE, "cached")
    assert [version.number for version in list_versions(model_dir)] == [1]
    # What those nodes found is told again.
    assert (progress.images["train"], progress.images["rejected"]) == (
        outcome.images.train,
        UNREADABLE,
    )
    assert any("set aside" in warning for warning in progress.warnings)
    (*_, newest) = project.output.all_runs()
    assert "broken.png" in (newest.path / REJECTED_FILE).read_text(encoding="utf-8")
    assert (newest.path / "report" / "planted.json").is_file()
    assert "unchanged" in project.newest_page


@pytest.mark.usefixtures("first_run")
def test_a_run_that_looks_first_ends_where_there_is_nothing_to_learn(project: Project) -> None:
    config = effective_config(project.config_file, ["retrain.if_changed=true"])
    outcome, progress = project.run_here(config)
    assert outcome.verdict == "unchanged"
    assert outcome.error is None
    assert outcome.pushed_path == str(project.output.serving("classifier") / "1")
    assert outcome.images.train == progress.images["train"]
    assert outcome.retrain is not None
    assert [finding.pays for finding in outcome.retrain.findings] == [False] * 6
    found = states(progress)
    assert (found["DataCheck"], found["RetrainCheck"]) == ("cached", "done")
    assert {found[name] for name in ("Transform", "Trainer", "Pusher")} == {"waiting"}


@pytest.mark.usefixtures("first_run")
def test_a_refused_model_is_not_pushed(project: Project) -> None:
    """Trained anew at a rate that learns nothing: good enough alone, but not beside what serves."""
    rules = "gate.rules=[{metric: log_loss, max: 100}, {metric: accuracy, max_decline: 0.02}]"
    config = effective_config(
        project.config_file, ["retrain.if_changed=true", LEARNS_NOTHING, rules]
    )
    outcome, progress = project.run_here(config)
    model_dir = project.output.serving("classifier")
    assert outcome.verdict == "refused"
    assert outcome.withheld is None
    assert outcome.pushed_path is None
    assert outcome.baseline is not None
    (failed,) = [rule for rule in outcome.rules if not rule.passed]
    assert failed.bound.startswith(f">= serving {outcome.baseline['accuracy']:.4f}")
    assert outcome.baseline_version == 1
    assert f"{outcome.baseline['accuracy']:.4f}" in project.newest_page
    assert outcome.retrain is not None
    assert outcome.retrain.reason == "settings of transform and trainer: other trainer.stages"
    assert states(progress)["Transform"] == "cached"
    assert [version.number for version in list_versions(model_dir)] == [1]


@pytest.mark.usefixtures("first_run")
def test_on_hold_a_model_that_passes_is_judged_but_not_pushed(project: Project) -> None:
    model_dir = project.output.serving("classifier")
    (model_dir / ".hold").touch()
    stages = "trainer.stages=[{train: head, epochs: 1, learning_rate: 0.01}]"
    config = effective_config(
        project.config_file, [stages, "gate.rules=[{metric: accuracy, min: 0}]"]
    )
    outcome, _ = project.run_here(config)
    release(model_dir)
    assert outcome.verdict == "refused"
    assert outcome.withheld is not None
    assert "pushing is on hold" in outcome.withheld
    assert all(rule.passed for rule in outcome.rules)
    assert [version.number for version in list_versions(model_dir)] == [1]


@pytest.mark.usefixtures("first_run")
def test_a_search_goes_before_the_training(project: Project) -> None:
    """Of two members one has no weights here."""
    search = "{enabled: true, backbones: [efficientnet-lite0, efficientnet-lite2]}"
    never = "gate.rules=[{metric: log_loss, max: 0}]"
    sets = [f"trainer.search={search}", "trainer.stages.0.epochs=1", never]
    outcome, _ = project.run_here(effective_config(project.config_file, sets))
    assert outcome.verdict == "refused"
    assert outcome.backbone == "efficientnet-lite0"
    assert outcome.search is not None
    assert [trial["backbone"] for trial in outcome.search.trials] == [
        "efficientnet-lite0",
        "efficientnet-lite2",
    ]
    assert "pip install" in outcome.search.trials[1]["problem"]
    (*_, run) = project.output.all_runs()
    events = [json.loads(line) for line in run.events.read_text(encoding="utf-8").splitlines()]
    told = [event.get("node", event["event"]) for event in events]
    assert "epoch" in told[: told.index("Trainer")]
    assert "epoch" not in told[told.index("Trainer", told.index("Tuner")) :]
    assert {"search.json", "search.png"} <= set(os.listdir(run.path))
    assert not any(project.output.checkpoints.iterdir())


@pytest.mark.usefixtures("first_run")
def test_a_better_model_replaces_the_one_that_serves(
    project: Project, config: PipelineConfig
) -> None:
    """The poor one of the refusal above, let through by a lenient gate, is what serves at first."""
    lenient = "gate.rules=[{metric: accuracy, min: 0}]"
    poor, _ = project.run_here(effective_config(project.config_file, [LEARNS_NOTHING, lenient]))
    assert (poor.verdict, serving_number(project)) == ("pushed", 2)
    outcome, _ = project.run_here(config)
    assert outcome.verdict == "pushed", outcome
    assert outcome.baseline is not None
    assert outcome.baseline["accuracy"] == poor.metrics["accuracy"]
    assert outcome.metrics["accuracy"] > outcome.baseline["accuracy"]
    assert serving_number(project) == 3


def serving_number(project: Project) -> int:
    version = serving_version(project.output.serving("classifier"))
    assert version is not None
    return version.number


@pytest.mark.usefixtures("first_run")
def test_a_new_class_stops_the_run_until_it_is_accepted(
    project: Project, config: PipelineConfig
) -> None:
    write_data(project.data, ("blue", "red", "green"))
    with pytest.raises(DataError, match=r"never seen before: 'green'"):
        project.run_here(config)
    assert "never seen before: &#39;green&#39;" in project.newest_page
    store = open_store(str(project.output.root))
    assert any("'green'" in line for line in schema_commands.diff(store, config))
    accepted = Path(schema_commands.accept(store, config))
    sets = ["splits.salt=other", "trainer.warm_start=serving"]
    outcome, progress = project.run_here(effective_config(project.config_file, sets))
    assert outcome.verdict == "pushed"
    assert "label=green" in outcome.slices
    assert any("the two were compared on those" in warning for warning in progress.warnings)
    assert outcome.seen > 0
    assert any(f"has learnt from {outcome.seen} of" in warning for warning in progress.warnings)
    assert serving_number(project) == 4
    version = serving_version(project.output.serving("classifier"))
    assert version is not None
    assert version.schema is not None
    assert version.schema.read_text() == accepted.read_text()


def test_a_person_goes_back(project: Project) -> None:
    """From what the tests before have pushed."""
    where = ["--output", str(project.output.root)]
    done = CliRunner().invoke(cli.app, ["models", "rollback", *where])
    assert done.exit_code == 0, done.output
    assert serving_number(project) == 3
    assert "Serving now: <bdi>classifier version 3," in project.output.index.read_text("utf-8")


@pytest.mark.usefixtures("first_run")
def test_the_pages_of_these_runs_are_as_they_should_be(
    project: Project, page_check: Callable[[Path], None]
) -> None:
    """That of all runs, and the first of each verdict; what is missing is written first."""
    done = CliRunner().invoke(cli.app, ["report", "--output", str(project.output.root)])
    assert done.exit_code == 0, done.output
    page_check(project.output.index)
    seen = set()
    for run in project.output.all_runs():
        outcome = Outcome.read(run)
        if outcome is not None and outcome.verdict not in seen:
            seen.add(outcome.verdict)
            page_check(run.report)
    assert {"pushed", "refused"} <= seen
