"""What `effnet data` says to look at first."""

import pytest

from components.evaluator.config import GateConfig, RuleConfig
from components.run_report.parts import DataPart, NearDuplicates, Thumbnail
from pipeline.data_advice import advice
from pipeline.data_result import class_counts

_GATE = GateConfig()


def _part(train: dict, val: dict, test: dict, **facts) -> DataPart:
    return DataPart(layout="folders", images={"train": train, "val": val, "test": test}, **facts)


def _said(part: DataPart, gate: GateConfig = _GATE, small: int = 0) -> str:
    return "\n".join(advice(part, gate, small, 224))


def test_sound_data_needs_no_advice() -> None:
    part = _part({"hat": 300, "dress": 400}, {"hat": 40, "dress": 60}, {"hat": 90, "dress": 110})
    assert _said(part) == ""
    assert class_counts(part) == {"dress": 570, "hat": 430}


def test_what_spoils_the_judgement_comes_first() -> None:
    first, second = (
        Thumbnail(id=f"{name}.jpg", label=name, split=split)
        for name, split in (("hat", "train"), ("dress", "test"))
    )
    part = _part(
        {"hat": 300, "dress": 5, "shoe": 300},
        {"hat": 40, "dress": 1},
        {"hat": 50, "dress": 2},
        near_duplicates=(NearDuplicates(first=first, second=second, distance=2),),
    )
    said = advice(part, _GATE, 500, 224)
    assert "'hat.jpg' is 'hat' and 'dress.jpg' is 'dress'" in said[0]
    assert "the test split has 52 images" in said[1]
    assert "class 'shoe' has no image in the test split" in said[2]
    assert "class 'dress' has fewer than 20 images to train on" in said[3]
    assert "'hat' has 49 times as many images as 'dress'" in said[4]
    assert "500 of 698 images have a side of fewer than 224 pixels" in said[5]


@pytest.mark.parametrize(
    ("rule", "needed", "there"),
    [
        ({"metric": "accuracy", "max_decline": 0.02, "confidence": 0.95}, 183, 182),
        ({"metric": "recall", "class": "dress", "min": 0.5, "min_examples": 83}, 83, 82),
        ({"metric": "accuracy", "slice": {"label": "*"}, "min": 0.5, "min_examples": 83}, 83, 82),
        ({"metric": "recall", "class": "coat", "min": 0.5}, 1, 0),
    ],
)
def test_a_rule_that_the_test_split_is_too_small_for_is_named(rule, needed, there) -> None:
    part = _part({"hat": 90, "dress": 90}, {"hat": 90, "dress": 90}, {"hat": 100, "dress": 82})
    base = RuleConfig(metric="accuracy", min=0.5)
    gate = GateConfig(rules=(base, RuleConfig.model_validate(rule)))
    assert f"it takes {needed} test images, and there are {there}" in _said(part, gate)
    passes = GateConfig(rules=(base, RuleConfig.model_validate({**rule, "few_examples": "pass"})))
    assert _said(part, passes) == ""


def test_many_classes_are_not_all_named() -> None:
    few = {f"class {number}": 3 for number in range(1000)}
    (said,) = [line for line in _said(_part(few, few, few)).splitlines() if "to train on" in line]
    assert "1000 classes ('class 0', 'class 1', 'class 10' and 997 more) have" in said
