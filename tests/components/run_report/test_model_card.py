"""The card of a model: what it tells, and that names of users stay text in it."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from components.evaluator.verdict import Comparison, Rule, Verdict
from components.run_report.card_config import CardConfig
from components.run_report.model_card import CardFacts, Group, plain, render
from components.run_report.parts import ClassMetrics, EvaluationPart, LabelIssues, TrainingPart
from components.serving_validator.report import Latency, ServingReport

HOSTILE = (
    "<script>alert(1)</script>",
    "a|b",
    "`code`",
    "*bold* _lean_ __more__ ~~gone~~ a_b",
    "[link](https://example.org)",
    "![picture](x.png)",
    "two\nlines\r\n# heading",
    "> quoted",
    "- listed",
    "&lt; \\| $x$",
    "www.example.org me@example.org",
    "\u202eturned\u202c around",
    "שלום עולם",
    "l" * 200,
    '"quoted" \U0001f600',
)


def _facts(classes: tuple[str, ...] = ("hat", "cap")) -> CardFacts:
    counts = dict.fromkeys(classes, 30)
    return CardFacts(
        name="hats",
        run_id="20261124-000000-abcd",
        config=CardConfig(),
        data="/data/hats",
        digest="f" * 64,
        seed=3,
        versions={"keras": "3.15.1"},
        training={
            "backbone": "efficientnet-lite0",
            "weights": "imagenet",
            "image_size": 224,
            "classes": list(classes),
            "stages": [
                {
                    "train": "top_blocks",
                    "blocks": 5,
                    "history": [{}, {}],
                    "best_epoch": 2,
                    "learning_rate": 0.0003,
                    "optimizer": "adamw",
                }
            ],
        },
        ingestion={"images": {"train": counts, "val": counts, "test": counts}, "span": None},
        verdict=Verdict(rules=(Rule(metric="accuracy", value=0.9, bound=">= 0.8", passed=True),)),
        metrics={"accuracy": 0.9, "examples": 30.0 * len(classes), "auc": None},
        groups=tuple(Group("label", name, 30, 0.9) for name in classes),
    )


def _html(text: str) -> str:
    return (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .enable("strikethrough")
        .render(text)
    )


def _cells(html: str) -> set[str]:
    return set(re.findall(r"<td[^>]*>(.*?)</td>", html))


def test_has_the_headings_of_model_cards_and_the_figures():
    full = replace(
        _facts(),
        config=CardConfig(intended_use="Sorts hats.", owner="Ann", licence="MIT"),
        groups=(*_facts().groups, Group("maker", "jones", 20, 0.5)),
        serving=ServingReport(
            latency=Latency(p50_ms=20, p95_ms=30, p99_ms=41.5), images=8, images_per_second=50
        ),
        trained=TrainingPart(
            backbone="efficientnet-lite0",
            weights="imagenet",
            image_size=224,
            parameters=3_400_000,
            trained_parameters=2_000_000,
            label_issues=LabelIssues(judged=120, count=7, method="five folds"),
        ),
        evaluation=EvaluationPart(
            images=60,
            accuracy=0.9,
            by_class=(ClassMetrics(label="hat", images=30, precision=0.8, recall=0.9, f1=0.85),),
            expected_calibration_error=0.0312,
        ),
        verdict=_facts().verdict.model_copy(
            update={
                "comparison": Comparison(
                    images=60,
                    left_out=0,
                    candidate=0.9,
                    baseline=0.85,
                    difference=0.05,
                    interval=(-0.01, 0.11),
                    only_candidate=5,
                    only_baseline=2,
                    p_value=0.4,
                )
            }
        ),
    )
    text = render(full)
    assert re.findall("^## (.*)", text, re.MULTILINE) == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Evaluation data",
        "Training data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
    ]
    for told in (
        "Sorts hats.",
        "**Licence:** MIT",
        "pretrained on ImageNet (Apache-2.0)",
        "| accuracy | 0.9000 | 79.9 to 95.3 % |",
        "| auc | \N{EN DASH} |",
        "| expected_calibration_error | 0.0312 |",
        "90.0 % against 85.0 %, a difference of +5.0 points (95 %: -1.0 to +11.0)",
        "| hat | 30 | 80.0 % | 90.0 % |",
        "every class and by maker",
        "**Weak:** 50.0 % of 20 test images with maker jones.",
        "7 of 120 images of train and val may have a wrong one, by five folds",
        "p99 41.5 ms",
        "| top_blocks (5) | 2 | 2 | 0.0003 | adamw |",
        "seed 3",
    ):
        assert told in text, told
    assert render(full) == text
    measured = replace(full, metrics={**full.metrics, "expected_calibration_error": 0.0312})
    assert render(measured).count("calibration") == 1


def test_without_the_parts_it_tells_what_is_known():
    text = render(replace(_facts(), training={}, ingestion={}))
    assert "0 classes: unknown backbone" in text
    assert "The \N{EN DASH} test images" in text
    assert "Undefined" not in text and "None" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_users_are_text(name):
    """Rendered, each cell holds the name as it was given, and no tag comes of it."""
    html = _html(
        render(
            replace(
                _facts(("plain", name)),
                name=name,
                data=name,
                config=CardConfig(intended_use=name, limits=name),
            )
        )
    )
    tags = {tag.lower() for tag in re.findall(r"</?(\w+)", html)}
    assert tags <= {"h1", "h2", "h3", "p", "ul", "li", "strong"} | {
        *("table", "thead", "tbody", "tr", "th", "td")
    }
    assert "\u202e" not in html
    shown = " ".join(name.replace("\u202e", "").replace("\u202c", "").split())
    escaped = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    found = {cell.strip("\u2068\u2069").replace("&quot;", '"') for cell in _cells(html)}
    assert escaped in found
    assert html.count("<h1>") == 1
    assert html.count("<table>") == _html(render(_facts())).count("<table>")


def test_of_many_classes_some_are_shown():
    text = render(_facts(tuple(f"class {number}" for number in range(1000))))
    assert "And 960 classes with fewer images." in text
    assert len(text) < 20_000


def test_text_of_another_direction_is_kept_apart():
    assert plain("שלום") == "\u2068שלום\u2069"  # noqa: RUF001
    assert plain("hat") == "hat"
