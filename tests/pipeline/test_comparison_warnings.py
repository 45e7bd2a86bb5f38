"""What a finished run warns of: how far the comparison with the serving model can be trusted."""

import json

import pytest
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.evaluator.verdict import Comparison, Verdict
from components.features import EXTRA, SPLITS
from components.image_example_gen.report import REPORT_FILE
from components.model_versions import FACTS_FILE
from components.serving_baseline.executor import VERSION_PROPERTY
from pipeline.comparison_warnings import comparison_warnings
from pipeline.config import PipelineConfig
from pipeline.node_facts import collect_all

SETTINGS = PipelineConfig().splits.model_dump_json()
COMPARISON = Comparison(
    images=100,
    left_out=0,
    candidate=0.8,
    baseline=0.9,
    difference=-0.1,
    interval=None,
    only_candidate=5,
    only_baseline=15,
    p_value=0.04,
)


@pytest.fixture
def warnings(tmp_path):
    """Returns the warnings on a verdict."""

    def of(verdict, facts=None, official=(), grouped=0, config=PipelineConfig()):  # noqa: B008
        ingestion, baseline = simple_artifacts.File(), standard_artifacts.Model()
        ingestion.uri, baseline.uri = str(tmp_path / "ingestion"), str(tmp_path / "baseline")
        (tmp_path / "ingestion").mkdir()
        report = {"official_splits": list(official), "grouped": grouped}
        report |= {"images": {split: {} for split in SPLITS}, "rejected": {"count": 0}}
        (tmp_path / "ingestion" / REPORT_FILE).write_text(json.dumps(report))
        baseline.set_int_custom_property(VERSION_PROPERTY, 1)
        extra = tmp_path / "baseline" / "Format-Serving" / EXTRA
        extra.mkdir(parents=True)
        (extra / FACTS_FILE).write_text(json.dumps(facts or {}))
        outputs = {"ingestion": [ingestion], "baseline": [baseline]}
        found = {**collect_all(outputs), "Evaluator": verdict.model_dump()}
        return list(comparison_warnings(config, found))

    return of


def test_images_that_the_serving_model_has_learnt_from_are_told_also_without_a_comparison(
    warnings,
):
    (told,) = warnings(Verdict(rules=(), baseline={}, seen=7), official=SPLITS)
    assert "has learnt from 7 of the test images" in told


def test_the_difference_on_the_other_images_is_told(warnings):
    unseen = COMPARISON.model_copy(update={"images": 40, "interval": (-0.1, 0.2)})
    compared = COMPARISON.model_copy(update={"unseen": unseen})
    config = PipelineConfig.parse({"trainer": {"warm_start": "serving"}})
    verdict = Verdict(rules=(), baseline={}, seen=60, comparison=compared)
    (told,) = warnings(verdict, config=config)
    assert "on 40 others the difference is -0.1000 [-0.1000, +0.2000]" in told
    assert "the candidate began from it" in told


def test_a_serving_model_that_has_learnt_from_none_of_them_is_no_warning(warnings):
    assert warnings(Verdict(rules=(), baseline={}, seen=0, comparison=COMPARISON)) == []


def test_where_no_other_model_serves_there_is_nothing_to_warn_of(warnings):
    assert warnings(Verdict(rules=()), official=SPLITS) == []


@pytest.mark.parametrize(
    ("facts", "official", "grouped", "said"),
    [
        ({"splits": SETTINGS}, (), 0, None),
        ({"splits": SETTINGS.replace("0.7", "0.6")}, (), 0, "other settings of splits"),
        ({"splits": SETTINGS.replace("0.7", "0.6")}, SPLITS, 0, "nor whether the official splits"),
        ({"splits": SETTINGS}, ("test",), 0, "nor whether the official splits"),
        ({"splits": SETTINGS}, (), 9, "nor whether the groups"),
        ({}, (), 0, "nor whether the settings"),
    ],
)
def test_where_it_is_not_recorded_the_settings_tell_what_may_be(
    warnings, facts, official, grouped, said
):
    told = warnings(Verdict(rules=(), baseline={}), facts, official, grouped)
    assert len(told) == (said is not None)
    assert said is None or said in told[0]
