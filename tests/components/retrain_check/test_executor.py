"""Whether a run is worth a training, by what is kept with the model that serves."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts

from components import learnt_images
from components.errors import DataError
from components.features import EXTRA, TRAINING_FILE
from components.image_example_gen.report import REPORT_FILE
from components.model_versions import FACTS_FILE
from components.retrain_check.config import RetrainConfig
from components.retrain_check.decision import Decision
from components.retrain_check.executor import Executor
from components.retrain_check.statistics import FILE, train_statistics
from components.serving_baseline.executor import VERSION_PROPERTY
from tests.statistics_of import statistics_of

TRAINED_BY = {"settings": {"trainer.seed": 0, "transform.resize": "squash"}, "code": "a"}


@dataclass(frozen=True)
class Data:
    """What a training sees: images by content, with their labels and brightness."""

    labels: dict[str, str] = field(
        default_factory=lambda: {f"{n}": ("cap", "hat")[n % 2] for n in range(200)}
    )
    brightness: float = 0.5

    def images(self) -> np.ndarray:
        return learnt_images.learnt_images(
            (hashlib.sha256(name.encode()).hexdigest(), label)
            for name, label in self.labels.items()
        )

    def statistics(self, folder: Path) -> standard_artifacts.ExampleStatistics:
        noise = np.random.default_rng(0).normal(0, 0.1, len(self.labels))
        columns = {"label": list(self.labels.values()), "brightness": self.brightness + noise}
        return statistics_of(folder, id=list(self.labels), **columns)

    def relabelled(self, changes: dict[str, str | None]) -> "Data":
        """Returns these with other labels; None removes an image."""
        labels = {**self.labels, **changes}
        return replace(self, labels={name: label for name, label in labels.items() if label})


@pytest.fixture
def decide(tmp_path):
    """Runs the executor on data beside a model that was trained on other data, or on none."""

    def run(
        today: Data,
        served: Data | None = None,
        trained_by: dict[str, Any] = TRAINED_BY,
        force: int = 0,
        earlier: Data | None = None,
        without: str = "",
        **settings: Any,
    ) -> tuple[Decision, simple_artifacts.File]:
        baseline = standard_artifacts.Model()
        baseline.uri = str(tmp_path / "baseline")
        if served is not None:
            baseline.set_int_custom_property(VERSION_PROPERTY, 3)
            _keep(Path(baseline.uri) / "Format-Serving" / EXTRA, served, earlier, tmp_path)
            if without:
                (Path(baseline.uri) / "Format-Serving" / EXTRA / without).unlink()
        ingestion, decision = simple_artifacts.File(), simple_artifacts.File()
        for name, artifact in (("ingestion", ingestion), ("decision", decision)):
            artifact.uri = str(tmp_path / name)
            Path(artifact.uri).mkdir()
        _write(Path(ingestion.uri), today.images())
        classes = dict.fromkeys(today.labels.values(), 1)
        report = {"images": {"train": classes}}
        (Path(ingestion.uri) / REPORT_FILE).write_text(json.dumps(report))
        Executor().Do(
            {
                "ingestion": [ingestion],
                "statistics": [today.statistics(tmp_path / "today")],
                "baseline": [baseline],
            },
            {"decision": [decision]},
            {
                "settings": RetrainConfig.parse(settings).model_dump_json(),
                "force": force,
                "trained_by": json.dumps(trained_by),
                "model_dir": "/serving/classifier",
            },
        )
        return Decision.read(decision.uri), decision

    return run


def _write(folder: Path, images: np.ndarray) -> None:
    (folder / learnt_images.FILE).write_bytes(learnt_images.to_bytes(images))


def _keep(extra: Path, served: Data, earlier: Data | None, scratch: Path) -> None:
    """Leaves what the Pusher keeps with a version."""
    extra.mkdir(parents=True)
    images = served.images()
    _write(extra, images if earlier is None else learnt_images.begun_from(images, earlier.images()))
    statistics = train_statistics(served.statistics(scratch / "served"))
    (extra / FILE).write_bytes(statistics.SerializeToString())
    (extra / FACTS_FILE).write_text(json.dumps({"trained_by": TRAINED_BY}))
    classes = sorted(set(served.labels.values()))
    (extra / TRAINING_FILE).write_text(json.dumps({"classes": classes}))


def paying(decision: Decision) -> dict[str, str]:
    return {finding.what: finding.found for finding in decision.findings if finding.pays}


def test_the_same_data_settings_and_code_do_not_pay(decide):
    decision, artifact = decide(Data(), Data())
    assert not decision.retrain
    assert decision.serving == "/serving/classifier/3"
    assert artifact.get_int_custom_property("retrain") == 0
    assert artifact.get_string_custom_property("reason") == "nothing new to learn"
    found = {finding.what: finding.found for finding in decision.findings}
    assert found["images of train and val"] == "0 new, 0 relabelled, 0 gone; 200 before"
    assert found["shares of classes"] == "moved by 0.000 at most (label)"
    assert found["other features"] == "moved by 0.000 at most (brightness)"


def test_where_nothing_serves_a_run_always_trains(decide):
    decision, artifact = decide(Data(), min_images=1000)
    assert (decision.retrain, decision.serving) == (True, None)
    assert artifact.get_int_custom_property("retrain") == 1


@pytest.mark.parametrize("without", [learnt_images.FILE, FILE, FACTS_FILE])
def test_a_version_that_does_not_tell_what_it_has_learnt_from_is_trained_anew(decide, without):
    decision, _ = decide(Data(), Data(), without=without)
    assert decision.retrain
    assert "without a record" in decision.reason


@pytest.mark.parametrize(
    ("settings", "retrain"),
    [
        ({}, True),
        ({"min_images": 6}, True),
        ({"min_images": 7}, False),
        ({"min_share": 0.03}, True),
        ({"min_share": 0.031}, False),
    ],
)
def test_images_that_are_new_relabelled_or_gone_pay_from_a_number_and_a_share(
    decide, settings, retrain
):
    changes = {"a": "cap", "b": "hat", "c": "cap", "0": "hat", "1": None, "2": None}
    decision, _ = decide(Data().relabelled(changes), Data(), **settings)
    assert decision.retrain == retrain
    found = next(finding.found for finding in decision.findings if "images" in finding.what)
    assert found == "3 new, 1 relabelled, 2 gone; 200 before"


def test_a_share_that_is_just_reached_pays(decide):
    """14 of 200 are 7 %, though 0.07 times 200 is more than 14 in binary numbers."""
    new = {f"new-{number}": "hat" for number in range(14)}
    quiet = {"max_label_drift": None, "max_feature_drift": None}
    decision, _ = decide(Data().relabelled(new), Data(), min_share=0.07, **quiet)
    assert decision.retrain


def test_what_an_earlier_training_has_learnt_from_is_not_gone(decide):
    decision, _ = decide(Data(), Data(), earlier=Data({"before": "hat"}))
    assert not decision.retrain


def test_a_class_that_is_new_or_gone_pays_by_itself(decide):
    many = {"min_images": 1000}
    decision, _ = decide(
        Data().relabelled({"a": "coat"}), Data({"b": "boot", **Data().labels}), **many
    )
    assert paying(decision) == {"classes": "new: coat; gone: boot"}


def test_drift_pays_whatever_the_number_of_images(decide):
    more = {f"{n}": "hat" for n in range(0, 100, 2)}
    decision, _ = decide(Data(brightness=0.7).relabelled(more), Data(), min_images=1000)
    assert set(paying(decision)) == {"shares of classes", "other features"}
    assert paying(decision)["shares of classes"] == "moved by 0.250 at most (label)"
    assert "(brightness)" in paying(decision)["other features"]


def test_drift_that_may_be_any_does_not_pay(decide):
    bounds = {"max_label_drift": 0.3, "max_feature_drift": None, "min_images": 1000}
    more = {f"{n}": "hat" for n in range(0, 100, 2)}
    decision, _ = decide(Data(brightness=0.7).relabelled(more), Data(), **bounds)
    assert not decision.retrain


def test_other_settings_are_named(decide):
    settings = {**TRAINED_BY["settings"], "trainer.seed": 1, "trainer.loss": "focal"}
    decision, _ = decide(Data(), Data(), trained_by={**TRAINED_BY, "settings": settings})
    assert decision.reason == (
        "settings of transform and trainer: other trainer.loss, trainer.seed"
    )


@pytest.mark.parametrize("counts", [True, False])
def test_other_code_pays_unless_it_is_not_to_count(decide, counts):
    decision, _ = decide(
        Data(), Data(), trained_by={**TRAINED_BY, "code": "b"}, on_code_change=counts
    )
    assert decision.retrain == counts


def test_force_trains_and_tells_what_was_found(decide):
    decision, artifact = decide(Data(), Data(), force=1)
    assert (decision.retrain, decision.forced, paying(decision)) == (True, True, {})
    assert len(decision.findings) > 3
    assert artifact.get_string_custom_property("reason") == "forced"


def test_damaged_statistics_are_told(decide, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}._keep", _keep_damaged)
    with pytest.raises(DataError, match=rf"{FILE}' is damaged"):
        decide(Data(), Data())


def _keep_damaged(extra: Path, *given: Any) -> None:
    extra.mkdir(parents=True)
    _write(extra, Data().images())
    (extra / FILE).write_bytes(b"\xff\xff")
