"""What the pipeline hands to the node that lets a model go live."""

import pytest

from pipeline.build import Locations, create_pipeline
from pipeline.config import PipelineConfig


@pytest.mark.parametrize("checked", [True, False])
def test_a_push_needs_the_verdict_of_the_gate_and_of_the_check_on_a_server(checked) -> None:
    config = PipelineConfig.parse({"serving": {"check": {"enabled": checked}}})
    places = Locations("data", "serving/classifier", "artifacts", "checkpoints", "")
    pipeline = create_pipeline(config, places, "a run")
    nodes = {node.id: node for node in pipeline.components}
    pusher = nodes["Pusher"].inputs
    assert pusher["model_blessing"].producer_component_id == "Evaluator"
    assert pusher["model_run"].producer_component_id == "Trainer"
    assert ("infra_blessing" in pusher) == ("ServingValidator" in nodes) == checked
    if checked:
        assert pusher["infra_blessing"].producer_component_id == "ServingValidator"
