import json
import subprocess
import sys

import pytest
from tfx.types import standard_artifacts

from components.evaluator.verdict import Rule
from components.features import EXTRA, TRAINING_FILE
from components.image_example_gen.report import REPORT_FILE
from components.pusher.executor import DESTINATION_PROPERTY, NEW_PROPERTY, WITHHELD_PROPERTY
from components.retrain_check.decision import FILE as DECISION_FILE
from components.retrain_check.decision import Decision, Finding
from components.serving_baseline.executor import VERSION_PROPERTY
from components.serving_validator import report as serving_report
from components.serving_validator.report import ServingReport
from pipeline.node_facts import collect, collect_all, compose
from pipeline.summary import Failure, Images
from trainer.step_up import TABLE_FILE

VERSION = "/serving/classifier/3"


def artifact(kind, folder, files=(), **properties):
    """Returns an artifact as a node leaves it."""
    made = kind()
    made.uri = str(folder)
    for name, text in dict(files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name, value in properties.items():
        if isinstance(value, int):
            made.set_int_custom_property(name, value)
        else:
            made.set_string_custom_property(name, value)
    return made


@pytest.fixture
def outputs(tmp_path):
    counts = {"train": {"cat": 3, "dog": 4}, "val": {"cat": 1}, "test": {"dog": 2}}
    report = {"images": counts, "rejected": {"count": 5}, "official_splits": [], "grouped": 0}
    training = {f"Format-Serving/{EXTRA}/{TRAINING_FILE}": '{"backbone": "efficientnet-b1"}'}
    table = {"stopped": "small gain", "trials": [{"backbone": "efficientnet-b0"}]}
    asked = ServingReport(rules=(Rule(metric="junk refused", passed=True),), memory_mb=float("nan"))
    artifacts = standard_artifacts
    return {
        "examples": [artifact(artifacts.Examples, tmp_path / "examples")],
        "ingestion": [
            artifact(artifacts.String, tmp_path / "report", {REPORT_FILE: json.dumps(report)})
        ],
        "model": [artifact(artifacts.Model, tmp_path / "model", training)],
        "tuner_results": [
            artifact(artifacts.TunerResults, tmp_path / "tuner", {TABLE_FILE: json.dumps(table)})
        ],
        "infra_blessing": [
            artifact(
                artifacts.InfraBlessing,
                tmp_path / "infra",
                {serving_report.FILE: asked.model_dump_json()},
            )
        ],
        "pushed_model": [
            artifact(
                artifacts.PushedModel,
                tmp_path / "pushed",
                **{DESTINATION_PROPERTY: VERSION, NEW_PROPERTY: 1},
            )
        ],
    }


def test_each_node_tells_the_part_of_the_outcome_that_it_decides(outputs):
    assert collect("ImageExampleGen", outputs) == {
        "images": {"train": 7, "val": 1, "test": 2, "rejected": 5},
        "official_splits": [],
        "grouped": 0,
    }
    assert collect("Trainer", outputs) == {"backbone": "efficientnet-b1"}
    assert collect("Tuner", outputs)["search"]["stopped"] == "small gain"
    assert collect("Pusher", outputs)["pushed_path"] == VERSION
    assert collect("Transform", outputs) == {}
    assert collect("Evaluator", outputs) == {}, "it left nothing here"


def test_the_version_that_served_is_told(tmp_path):
    made = artifact(standard_artifacts.Model, tmp_path, **{VERSION_PROPERTY: 7})
    facts = collect("ServingBaseline", {"baseline": [made]})
    assert facts == {"baseline_version": 7, "trained_splits": None}
    outcome = compose({"ServingBaseline": facts, "Pusher": {"verdict": "refused"}})
    assert outcome.baseline_version == 7


def test_facts_are_plain_json(outputs):
    facts = collect_all(outputs)

    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["ServingValidator"]["serving"]["memory_mb"] is None


def test_facts_by_node_make_the_outcome(outputs):
    outcome = compose(collect_all(outputs))

    assert (outcome.verdict, outcome.pushed_path) == ("pushed", VERSION)
    assert outcome.images == Images(train=7, val=1, test=2, rejected=5)
    assert outcome.search.trials[0]["backbone"] == "efficientnet-b0"
    assert outcome.serving.passed


@pytest.mark.parametrize(
    ("properties", "verdict", "withheld"),
    [
        ({DESTINATION_PROPERTY: VERSION, NEW_PROPERTY: 1}, "pushed", None),
        ({DESTINATION_PROPERTY: VERSION, NEW_PROPERTY: 0}, "unchanged", None),
        ({"pushed": 0}, "refused", None),
        ({"pushed": 0, WITHHELD_PROPERTY: "a hold is set"}, "refused", "a hold is set"),
    ],
)
def test_the_pusher_gives_the_verdict(tmp_path, properties, verdict, withheld):
    pushed = artifact(standard_artifacts.PushedModel, tmp_path, **properties)

    outcome = compose({"Pusher": collect("Pusher", {"pushed_model": [pushed]})})

    assert (outcome.verdict, outcome.withheld) == (verdict, withheld)


def test_a_run_with_nothing_to_learn_comes_to_its_verdict_before_the_training(tmp_path):
    def decided(name, pays):
        finding = Finding(what="images", found="none new", pays=pays)
        decision = Decision.by([finding], forced=False, serving=VERSION)
        files = {DECISION_FILE: decision.model_dump_json()}
        made = artifact(standard_artifacts.String, tmp_path / name, files)
        return collect("RetrainCheck", {"decision": [made]})

    ended = compose({"RetrainCheck": decided("ended", pays=False)})
    assert (ended.verdict, ended.pushed_path) == ("unchanged", VERSION)
    assert ended.retrain.findings[0].found == "none new"
    goes_on = decided("goes-on", pays=True)
    with pytest.raises(RuntimeError, match="without a verdict"):
        compose({"RetrainCheck": goes_on})
    refused = compose({"RetrainCheck": goes_on, "Pusher": {"verdict": "refused"}})
    assert (refused.verdict, refused.retrain.retrain) == ("refused", True)


def test_a_server_that_was_not_asked_has_no_report(tmp_path):
    empty = artifact(
        standard_artifacts.InfraBlessing,
        tmp_path,
        {serving_report.FILE: ServingReport().model_dump_json()},
    )

    assert collect("ServingValidator", {"infra_blessing": [empty]}) == {"serving": None}


def test_a_run_that_failed_keeps_what_its_finished_nodes_found(outputs):
    facts = collect_all({key: outputs[key] for key in ("ingestion", "model")})

    outcome = compose(facts, Failure(kind="input", message="label 'x' is wrong"))

    assert (outcome.verdict, outcome.error.exit_status) == ("failed", 2)
    assert (outcome.images.train, outcome.backbone) == (7, "efficientnet-b1")
    with pytest.raises(RuntimeError, match="without a verdict"):
        compose(facts)


def test_composing_imports_no_heavy_library(environment):
    code = (
        "import sys; from pipeline.node_facts import compose; "
        "compose({'Pusher': {'verdict': 'pushed'}}); "
        "print({'tensorflow', 'tfx', 'apache_beam', 'numpy'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
