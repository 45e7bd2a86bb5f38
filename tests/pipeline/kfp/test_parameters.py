"""What a run sets anew, and how tasks take it."""

import json

import pytest

from components.errors import ConfigError
from components.evaluator.config import GateConfig
from components.image_example_gen.config import DataConfig
from pipeline.config import PipelineConfig
from pipeline.digests import TRAINING, code_digest, trained_by
from pipeline.kfp.parameters import Run, executor_properties, run_parameters
from trainer.config import TrainConfig

RUN = {
    "effnet_uuid": "5a1fe1b2-0001",
    "effnet_created": "2026-11-24T19:06:25Z",
    "effnet_output": "/mnt/output",
}


def properties(given, **values):
    own = {f"effnet_{name}": value for name, value in values.items()}
    return executor_properties({**given, **RUN, **own})


def test_a_runs_id_is_the_same_in_all_tasks_and_sorts_by_time():
    run = Run.of(RUN)
    assert run.id.startswith("20261124-190625-")
    assert Run.of({**RUN, "effnet_data": "/d"}).id == run.id
    assert Run.of({**RUN, "effnet_uuid": "another"}).id != run.id
    moved = Run.of({**RUN, "effnet_created": "2026-11-24T21:06:25+02:00"})
    assert moved.id == run.id


def test_a_backend_that_is_too_old_is_told():
    with pytest.raises(ConfigError, match=r"2\.16 or newer is needed"):
        Run.of({**RUN, "effnet_created": "{{$.pipeline_job_create_time_utc}}"})


def test_the_executor_gets_its_own_properties_only():
    assert properties({"run_id": "compiled", "settings": "{}"}) == {
        "run_id": Run.of(RUN).id,
        "settings": "{}",
    }


def test_data_and_span_of_a_run():
    given = {"data_path": "/old", "data_config": DataConfig(span="3").model_dump_json()}
    found = properties(given, data="/new/{SPAN}", span="7")
    assert found["data_path"] == "/new/{SPAN}"
    assert DataConfig.parse_json(found["data_config"]).span == "7"
    newest = properties(given, span="")
    assert DataConfig.parse_json(newest["data_config"]).span is None


def test_bounds_of_the_gate():
    given = {"gate_config": GateConfig().model_dump_json()}
    found = properties(given, gate_1_accuracy_min=0.9, gate_2_accuracy_max_decline=0.0)
    rules = GateConfig.parse_json(found["gate_config"]).rules
    assert [(rule.min, rule.max_decline) for rule in rules] == [(0.9, None), (None, 0.0)]
    with pytest.raises(ConfigError, match="max_decline"):
        properties(given, gate_2_accuracy_max_decline=-1.0)


def training(**values):
    config = {"train_config": TrainConfig().model_dump_json(), "code_digest": ""}
    given = {"custom_config": json.dumps({**config, "weights_digest": ""})}
    return json.loads(properties(given, **values)["custom_config"])


def test_backbone_and_epochs_of_a_run():
    found = TrainConfig.parse_json(
        training(backbone="efficientnet-b0", epochs="3, 2")["train_config"]
    )
    assert found.backbone == "efficientnet-b0"
    assert [stage.epochs for stage in found.stages] == [3, 2]


def test_training_is_told_apart_by_the_images_own_code():
    assert training()["code_digest"] == code_digest(*TRAINING)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"backbone": "efficientnet-b00"}, "did you mean 'efficientnet-b0'"),
        ({"epochs": "3"}, "a number for each of the 2 stages"),
        ({"epochs": "3,x"}, "received '3,x'"),
        ({"epochs": "0,1"}, "epochs"),
    ],
)
def test_what_training_cant_use_ends_the_task(values, told):
    with pytest.raises(ConfigError, match=told):
        training(**values)


def test_another_backbone_has_images_of_another_size():
    given = {"custom_config": json.dumps({"image_size": 224, "transform_config": "{}"})}
    found = json.loads(properties(given, backbone="efficientnet-b3")["custom_config"])
    assert found["image_size"] == 300


def test_images_of_a_set_size_dont_depend_on_the_backbone():
    config = PipelineConfig.parse({"transform": {"image_size": 128}})
    (backbone,) = [p for p in run_parameters(config) if p.name == "backbone"]
    assert backbone.nodes == ("Trainer", "Pusher")


def test_a_search_chooses_the_backbone_itself():
    config = PipelineConfig.parse({"trainer": {"search": {"enabled": True}}})
    found = {parameter.name: parameter.nodes for parameter in run_parameters(config)}
    assert "backbone" not in found
    assert found["epochs"] == ("Tuner", "Trainer", "Pusher")


def test_a_push_is_recorded_with_its_run_and_what_the_run_was_trained_by():
    told = trained_by(PipelineConfig())
    facts = {"run_id": "compiled", "trained_by": {**told, "code": ""}}
    card = {"name": "hats", "data": "s3://old"}
    given = {"custom_config": json.dumps({"facts": facts, "keep": 10, "card": card})}
    found = json.loads(properties(given, epochs="4,3", data="s3://new")["custom_config"])
    assert found["keep"] == 10
    assert found["card"] == {"name": "hats", "data": "s3://new"}
    assert found["facts"]["run_id"] == Run.of(RUN).id
    recorded = found["facts"]["trained_by"]
    assert recorded["code"] == told["code"]
    assert [stage["epochs"] for stage in recorded["settings"]["trainer.stages"]] == [4, 3]


def test_the_check_before_training_looks_at_what_the_run_would_train_by():
    text = json.dumps({**trained_by(PipelineConfig()), "code": ""})
    found = properties({"trained_by": text, "force": 0}, epochs="4,3", force="true")
    recorded = json.loads(found["trained_by"])
    assert [stage["epochs"] for stage in recorded["settings"]["trainer.stages"]] == [4, 3]
    assert found["force"] == 1
    with pytest.raises(ConfigError, match="force must be true or false"):
        properties({"force": 0}, force="yes")


def test_the_schema_that_was_accepted_is_looked_for_when_the_task_runs(tmp_path):
    output = {"effnet_output": str(tmp_path)}
    given = {"schema_file": f"{tmp_path}/schema/classifier.pbtxt", **RUN, **output}
    assert executor_properties(given) == {"schema_file": ""}
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "classifier.pbtxt").write_text("feature {}")
    found = executor_properties(given)["schema_file"]
    with open(found, encoding="utf-8") as file:
        assert file.read() == "feature {}"


def test_a_curated_schema_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match=r"schema\.path is '.*curated\.pbtxt'"):
        properties({"schema_file": f"{tmp_path}/curated.pbtxt"})
