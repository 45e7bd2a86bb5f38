"""The push as TFX calls it: only over the version that the model was judged against."""

import html
import json
import shutil
from pathlib import Path

import pytest
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts
from tfx.utils import json_utils, proto_utils

from components import learnt_images, run_events
from components.features import EXTRA, TRAINING_FILE
from components.image_example_gen.report import REPORT_FILE
from components.model_versions import list_versions, release, roll_back, serving_version
from components.pusher import executor
from components.retrain_check.statistics import feature_name, read
from components.run_report import model_card
from components.run_report.parts import LabelIssues, TrainingPart
from components.serving_baseline import executor as baseline_executor
from components.serving_baseline.driver import SERVING_STATE

CARD = {"name": "hats", "data": "s3://key:word@images/hats", "words": {"owner": "Ann"}}


@pytest.fixture
def model_dir(tmp_path):
    return tmp_path / "serving" / "classifier"


@pytest.fixture
def baseline(tmp_path, model_dir, monkeypatch):
    """Returns what makes the baseline's artifact of what serves now, by its executor."""
    # The versions here have no signatures to ask for.
    monkeypatch.setattr(baseline_executor, "check_comparable", lambda *arguments: None)

    def make(**properties):
        artifact = standard_artifacts.Model()
        number = sum(1 for _ in tmp_path.glob("baseline-*"))
        artifact.uri = str(tmp_path / f"baseline-{number}")
        Path(artifact.uri).mkdir()
        baseline_executor.Executor().Do(
            {}, {"baseline": [artifact]}, {"model_dir": str(model_dir), **properties}
        )
        return artifact

    return make


@pytest.fixture
def push(tmp_path, model_dir, evaluation, statistics):
    """Runs the executor for a model of a given content; returns its artifact."""

    def do(
        content,
        baseline,
        blessed=1,
        keep=None,
        learnt=None,
        weights="imagenet",
        answers=1,
        run=None,
        **parts,
    ):
        model = model_of(tmp_path, content, weights)
        ingestion = ingestion_of(tmp_path, content, learnt)
        blessing = standard_artifacts.ModelBlessing()
        blessing.set_int_custom_property("blessed", blessed)
        infra_blessing = standard_artifacts.InfraBlessing()
        infra_blessing.set_int_custom_property("blessed", answers)
        schema = schema_in(tmp_path / "schema")
        judged = standard_artifacts.ModelEvaluation()
        judged.uri = str(evaluation)
        pushed = standard_artifacts.PushedModel()
        destination = pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(model_dir))
        )
        executor.Executor().Do(
            {
                "model": [model],
                "model_blessing": [blessing],
                "infra_blessing": [infra_blessing],
                "schema": [schema],
                "baseline": [baseline],
                "ingestion": [ingestion],
                "statistics": [statistics],
                "evaluation": [judged],
                **parts,
            },
            {"pushed_model": [pushed]},
            {
                "push_destination": proto_utils.proto_to_json(destination),
                "custom_config": json_utils.dumps(
                    {"facts": {"run_id": run or content}, "keep": keep, "card": CARD}
                ),
            },
        )
        return pushed

    return do


def model_of(folder, content, weights):
    """A model that is nothing but its content, and what its weights began from."""
    model = standard_artifacts.Model()
    model.uri = str(folder / f"model-{content}")
    saved = Path(model.uri) / "Format-Serving"
    (saved / EXTRA).mkdir(parents=True, exist_ok=True)
    (saved / "saved_model.pb").write_text(content)
    (saved / EXTRA / TRAINING_FILE).write_text(json.dumps({"weights": weights}))
    return model


def ingestion_of(folder, content, learnt):
    """What ingestion left: the table of images, if there is one."""
    ingestion = simple_artifacts.File()
    ingestion.uri = str(folder / f"ingestion-{content}")
    Path(ingestion.uri).mkdir(exist_ok=True)
    if learnt is not None:
        table = Path(ingestion.uri) / learnt_images.FILE
        table.write_bytes(learnt_images.to_bytes(images_of(learnt)))
    return ingestion


def schema_in(folder):
    schema = standard_artifacts.Schema()
    schema.uri = str(folder)
    folder.mkdir(exist_ok=True)
    (folder / "schema.pbtxt").touch()
    return schema


def images_of(digits):
    """The table of images whose contents have these digits as hashes."""
    return learnt_images.learnt_images((digit * 64, "hat") for digit in digits)


def withheld(pushed):
    return pushed.get_string_custom_property(executor.WITHHELD_PROPERTY)


def test_each_model_judged_against_what_serves_is_pushed(push, baseline, model_dir):
    for content in ("one", "two", "three"):
        pushed = push(content, baseline(), keep=2)
        assert withheld(pushed) == ""
        assert pushed.get_int_custom_property("pushed") == 1
        assert pushed.get_int_custom_property(executor.NEW_PROPERTY) == 1
    found = list_versions(model_dir)
    assert [(version.number, version.facts["run_id"]) for version in found] == [
        (2, "two"),
        (3, "three"),
    ]
    assert pushed.get_string_custom_property(executor.DESTINATION_PROPERTY) == str(model_dir / "3")
    assert found[1].facts["pushed_at"].endswith("+00:00")


def test_a_task_that_is_tried_again_has_pushed_what_its_former_attempt_did(
    push, baseline, model_dir
):
    nothing = baseline()
    push("one", nothing, run="this")
    again = push("one", nothing, run="this")
    assert again.get_int_custom_property(executor.NEW_PROPERTY) == 1
    another = push("one", baseline(), run="another")
    assert another.get_int_custom_property(executor.NEW_PROPERTY) == 0
    assert [version.number for version in list_versions(model_dir)] == [1]


def test_what_a_model_has_learnt_from_is_kept_with_it(push, baseline, model_dir):
    push("one", baseline(), learnt="ab")
    push("two", baseline(), learnt="cd")
    kept = learnt_images.read(model_dir / "2" / EXTRA)
    assert kept.tolist() == images_of("cd").tolist()


def test_the_statistics_of_its_training_images_are_kept_without_their_names(
    push, baseline, model_dir
):
    push("one", baseline())
    kept = read(model_dir / "1" / EXTRA)
    assert [feature_name(one) for one in kept.datasets[0].features] == ["label"]
    assert b"jones" not in kept.SerializeToString()


def test_after_a_warm_start_what_the_model_before_has_learnt_from_counts_as_well(
    push, baseline, model_dir
):
    push("one", baseline(), learnt="ab")
    push("two", baseline(), learnt="bc", weights="serving")
    kept = learnt_images.read(model_dir / "2" / EXTRA)
    assert learnt_images.among(kept, [digit * 64 for digit in "abcd"]).tolist() == [1, 1, 1, 0]
    assert kept["earlier"].sum() == 1


def test_after_a_warm_start_from_a_model_that_does_not_tell_nothing_is_told(
    push, baseline, model_dir
):
    push("one", baseline())
    push("two", baseline(), learnt="bc", weights="serving")
    assert learnt_images.read(model_dir / "2" / EXTRA) is None


def test_a_model_judged_against_another_version_is_not_pushed_and_why_is_told(
    push, baseline, model_dir
):
    nothing = baseline()
    push("one", nothing)
    pushed = push("two", nothing)
    assert "version 1" in withheld(pushed)
    assert pushed.get_int_custom_property("pushed") == 0
    assert not pushed.has_custom_property(executor.DESTINATION_PROPERTY)
    assert serving_version(model_dir).number == 1


def test_on_hold_nothing_is_pushed(push, baseline, model_dir):
    push("one", baseline())
    push("two", baseline())
    roll_back(model_dir)
    assert "went back from version 2 to 1" in withheld(push("three", baseline()))
    assert serving_version(model_dir).number == 1


@pytest.mark.parametrize("lacking", ["blessed", "answers"])
def test_a_model_without_either_blessing_is_not_pushed(push, baseline, model_dir, lacking):
    pushed = push("one", baseline(), **{lacking: 0})
    assert (pushed.get_int_custom_property("pushed"), withheld(pushed)) == (0, "")
    assert not model_dir.exists()


def test_a_version_that_a_person_put_there_is_pushed_over_once_it_was_judged(
    push, baseline, model_dir
):
    (model_dir / "5").mkdir(parents=True)
    (model_dir / "5" / "saved_model.pb").write_text("by hand")
    judged = baseline()
    assert judged.get_string_custom_property(baseline_executor.DIGEST_PROPERTY) == ""
    assert withheld(push("six", judged)) == ""
    assert serving_version(model_dir).number == 6


def test_a_change_between_driver_and_executor_ends_the_run(push, baseline):
    """Else the cache would give version 1 as the answer wherever nothing serves."""
    push("one", baseline())
    with pytest.raises(RuntimeError, match="another version began to serve"):
        baseline(**{SERVING_STATE: "none"})
    state = baseline().get_string_custom_property(baseline_executor.STATE_PROPERTY)
    assert baseline(**{SERVING_STATE: state}) is not None


def test_facts_are_json_values(push, baseline, model_dir):
    push("one", baseline())
    facts = json.loads((model_dir / "1" / "assets.extra" / "model.json").read_text())
    assert set(facts) == {"digest", "run_id", "pushed_at", "metrics", "model_card"}


def test_a_version_tells_how_it_was_judged_when_it_was_pushed(push, baseline, model_dir):
    push("one", baseline())
    metrics = {"accuracy": 0.75, "examples": 4.0, "macro_f1": 0.75, "auc": None}
    assert serving_version(model_dir).facts["metrics"] == metrics


def test_a_model_that_a_person_took_back_stays_away_after_the_release(push, baseline, model_dir):
    push("one", baseline())
    push("two", baseline())
    roll_back(model_dir)
    release(model_dir)
    assert "'effnet models promote 2' makes it serve again" in withheld(push("two", baseline()))
    assert serving_version(model_dir).number == 1
    assert withheld(push("three", baseline())) == ""


def test_the_card_lies_with_the_version(push, baseline, model_dir, tmp_path):
    part = TrainingPart(
        backbone="efficientnet-lite0",
        weights="imagenet",
        image_size=224,
        parameters=3_400_000,
        trained_parameters=1234,
        label_issues=LabelIssues(judged=30, count=2, method="by folds"),
    )
    run = standard_artifacts.ModelRun()
    run.uri = str(tmp_path / "model_run")
    part.leave(run.uri)
    report = {"images": {"train": {"hat": 3, "cap": 2}, "val": {"hat": 1}, "test": {"hat": 4}}}
    (Path(ingestion_of(tmp_path, "one", None).uri) / REPORT_FILE).write_text(json.dumps(report))

    push("one", baseline(), model_run=[run])
    text = (model_dir / "1" / EXTRA / model_card.FILE).read_text(encoding="utf-8")
    assert "| accuracy | 0.7500 | 30.1 to 95.4 % |" in text
    assert "| macro_f1 | 0.7500 |" in text
    assert "1,234" in text
    assert "2 of 30 images of train and val" in text
    assert "5 to train on, 1 to choose the epoch by" in text
    assert "s3://" not in text, "addresses don't become links"
    assert "***" in html.unescape(text)
    assert "word" not in text.partition("## Training data")[2].partition("Class")[0]
    assert serving_version(model_dir).facts["model_card"] == model_card.FILE

    # The same run pushes the same bytes again, wherever to.
    shutil.rmtree(model_dir)
    push("one", baseline(), model_run=[run])
    assert (model_dir / "1" / EXTRA / model_card.FILE).read_text(encoding="utf-8") == text


def test_a_version_without_a_card_is_pushed_and_tells_of_none(
    push, baseline, model_dir, tmp_path, monkeypatch
):
    monkeypatch.setenv(run_events.RUN_DIR_VARIABLE, str(tmp_path))
    (Path(ingestion_of(tmp_path, "one", None).uri) / REPORT_FILE).write_text("torn")
    push("one", baseline())
    assert not (model_dir / "1" / EXTRA / model_card.FILE).exists()
    assert "model_card" not in serving_version(model_dir).facts
    told = (tmp_path / run_events.EVENTS_FILE).read_text(encoding="utf-8")
    assert "the version has no model card: JSONDecodeError" in told
