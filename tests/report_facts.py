"""Facts of a run as its nodes would leave them, made up from a seed; no node has to run."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from components.evaluator.verdict import Comparison, Rule
from components.run_report import parts
from components.run_report.facts import Before, HistoryRow, RunReport, RunSummary
from components.serving_validator.report import Latency, ServingReport

ODD_LABELS = (
    "<script>alert(1)</script>",
    "\"double\" & 'single' </td><img src=x onerror=alert(2)>",
    "costs $5 and $x^2$ {{ 7 * 7 }}",
    "🦊 fox 👩‍🔬",
    "قميص",
    "x" * 200,
    "tab\tand\nline\x1b[31m",
)
LABELS = ("dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "skirt")
SPLITS = {"train": 0.7, "val": 0.1, "test": 0.2}
_EDGES = tuple(float(edge) for edge in range(0, 1100, 100))


def jpeg(seed: int, side: int = 128) -> str:
    """A small picture in base64."""
    drawn = np.random.default_rng(seed)
    coarse = drawn.integers(0, 255, (4, 3, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((side * 3 // 4, side)).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def thumbnail(label: str, number: int, split: str = "test") -> parts.Thumbnail:
    """A picture of a class."""
    return parts.Thumbnail(id=f"{label}/{number}.jpg", label=label, split=split, jpeg=jpeg(number))


def label_issues(labels: tuple[str, ...], count: int = 4) -> parts.LabelIssues:
    """A few likely errors."""
    shown = tuple(
        parts.LabelIssue(
            image=thumbnail(labels[one % len(labels)], 900 + one),
            suggested=labels[(one + 1) % len(labels)],
            given_probability=0.02 + one / 100,
            suggested_probability=0.95 - one / 100,
        )
        for one in range(count)
    )
    ids = tuple(issue.image.id for issue in shown)
    return parts.LabelIssues(
        judged=400, count=count, method="probabilities of five folds", ids=ids, shown=shown
    )


def histogram(seed: int, images: int) -> parts.Histogram:
    """Sizes that differ a little with the seed."""
    drawn = np.random.default_rng(seed).normal(400 + 60 * seed, 120, images).clip(0, 999)
    counts, _ = np.histogram(drawn, _EDGES)
    return parts.Histogram(edges=_EDGES, counts=tuple(int(count) for count in counts))


def data(labels: tuple[str, ...] = LABELS, images: int = 3000, seed: int = 0) -> parts.DataPart:
    """What ingestion would find in that many images."""
    weights = np.random.default_rng(seed).dirichlet(np.full(len(labels), 5.0))
    sizes = {
        split: {
            label: int(1 + share * images * weight)
            for label, weight in zip(labels, weights, strict=True)
        }
        for split, share in SPLITS.items()
    }
    pairs = tuple(
        parts.NearDuplicates(
            first=thumbnail(label, 10, "train"), second=thumbnail(label, 11), distance=3
        )
        for label in labels[:6]
    )
    return parts.DataPart(
        layout="folders",
        images=sizes,
        formats={"JPEG": images - 9, "PNG": 9},
        widths=histogram(seed, images),
        heights=histogram(seed + 1, images),
        file_sizes=parts.Histogram(edges=(0, 10_000, 20_000, 40_000), counts=(9, images, 5)),
        brightness=parts.Histogram(edges=(0.0, 0.25, 0.5, 0.75, 1.0), counts=(5, 50, images, 70)),
        rejected_count=2,
        rejected_share=2 / images,
        rejected_by_reason={"truncated": 1, "too large": 1},
        rejected=tuple(
            {"id": f"{label}/bad.jpg", "label": label, "reason": reason, "detail": label * 2}
            for label, reason in zip(labels[:2], ("truncated", "too large"), strict=True)
        ),
        copies=3,
        dropped=1,
        contradictory=({"ids": (f"{labels[0]}/1.jpg", "b/2.jpg"), "labels": labels[:2]},),
        contradictory_count=1,
        across_splits=4,
        within_splits=2,
        near_duplicates=pairs,
        near_duplicate_ids=tuple((pair.first.id, pair.second.id) for pair in pairs),
        sample=tuple(thumbnail(label, one) for label in labels[:24] for one in range(4)),
    )


def training(labels: tuple[str, ...] = LABELS) -> parts.TrainingPart:
    """Two stages."""

    def stage(name: str, epochs: int, start: float) -> parts.Curve:
        loss = tuple(start / (1 + 0.6 * epoch) for epoch in range(epochs))
        return parts.Curve(
            stage=name,
            train_loss=loss,
            val_loss=tuple(value + 0.05 for value in loss),
            train_accuracy=tuple(1 - value / 3 for value in loss),
            val_accuracy=tuple(0.97 - value / 3 for value in loss),
            best_epoch=epochs - 2,
            seconds=40.0 * epochs,
        )

    return parts.TrainingPart(
        backbone="efficientnet-lite0",
        weights="ImageNet, embedded",
        image_size=224,
        parameters=3_380_000,
        trained_parameters=1_200_000,
        curves=(stage("head", 6, 1.6), stage("top_blocks", 4, 0.5)),
        augmentation=tuple(
            parts.Augmented(
                image=thumbnail(label, 20, "train"),
                variants=tuple(jpeg(one) for one in range(30, 35)),
            )
            for label in labels[:4]
        ),
        label_issues=label_issues(labels),
    )


def answer(label: str, predicted: str, number: int, explained: bool = False) -> parts.Answer:
    """An answer, right where the labels agree."""
    return parts.Answer(
        image=thumbnail(label, number),
        predicted=predicted,
        score=0.93 - number / 1000,
        label_probability=0.93 - number / 1000 if label == predicted else 0.04,
        top=((predicted, 0.93), (label, 0.04), (LABELS[0], 0.02)),
        activation=jpeg(number + 1) if explained else None,
    )


def confusion(labels: tuple[str, ...], images: int) -> parts.Confusion:
    """Mostly right; with many classes only the mistakes."""
    drawn = np.random.default_rng(1)
    pairs = tuple((labels[i], labels[(i + 1) % len(labels)], 9 - i) for i in range(6))
    if len(labels) > 40:
        return parts.Confusion(classes=labels, counts=None, pairs=pairs)
    each = images // len(labels)
    shares = 0.2 * drawn.dirichlet(np.full(len(labels), 0.4), len(labels)) + 0.8 * np.eye(
        len(labels)
    )
    counts = tuple(tuple(int(value) for value in row) for row in np.rint(each * shares))
    return parts.Confusion(classes=labels, counts=counts, pairs=pairs)


def evaluation(labels: tuple[str, ...] = LABELS, images: int = 600) -> parts.EvaluationPart:
    """What the Evaluator would find."""
    recalls = np.random.default_rng(2).uniform(0.5, 1.0, len(labels))
    mean = float(recalls.mean())
    return parts.EvaluationPart(
        images=images,
        accuracy=mean,
        accuracy_interval=(mean - 0.03, mean + 0.03),
        by_class=tuple(
            parts.ClassMetrics(
                label=label,
                images=max(1, images // len(labels)),
                precision=float(1.2 - recall) if place else None,
                recall=float(recall),
                f1=float(recall) if place else None,
            )
            for place, (label, recall) in enumerate(zip(labels, recalls, strict=True))
        ),
        confusion=confusion(labels, images),
        reliability=tuple(
            parts.ReliabilityBin(
                low=low / 10,
                high=(low + 1) / 10,
                images=low * 20,
                confidence=low / 10 + 0.05 if low else None,
                accuracy=low / 10 if low else None,
            )
            for low in range(10)
        ),
        expected_calibration_error=0.041,
        mistakes=tuple(answer(labels[i], labels[i - 1], 40 + i) for i in range(6)),
        hesitant=tuple(answer(labels[i], labels[i], 60 + i) for i in range(6)),
        explained=tuple(answer(labels[i], labels[i // 2], 70 + i, True) for i in range(4)),
        label_issues=label_issues(labels),
    )


def summary(labels: tuple[str, ...] = LABELS, **changes: Any) -> RunSummary:
    """Of a run whose model was pushed."""
    rules = (
        Rule(metric="accuracy", value=0.8853, bound=">= 0.83", passed=True, examples=497),
        Rule(
            metric="recall",
            slice=f"label={labels[0]}",
            value=0.81,
            bound=">= 0.65",
            passed=True,
            examples=156,
        ),
    )
    facts: dict[str, Any] = {
        "verdict": "pushed",
        "rules": rules,
        "metrics": {"accuracy": 0.8853, "log_loss": 0.298, "examples": 497.0},
        "baseline": {"accuracy": 0.862, "log_loss": 0.331, "examples": 497.0},
        "comparison": Comparison(
            images=490,
            left_out=7,
            candidate=0.8853,
            baseline=0.8641,
            difference=0.0212,
            interval=(0.0041, 0.0389),
            only_candidate=21,
            only_baseline=11,
            p_value=0.11,
            new_classes=labels[:1],
        ),
        "seen": 12,
        "serving": ServingReport(
            rules=(Rule(metric="p95_ms", value=22.1, bound="<= 100", passed=True, examples=64),),
            latency=Latency(p50_ms=18.2, p95_ms=22.1, p99_ms=31.0),
            in_process_p50_ms=15.0,
            images_per_second=61.0,
            memory_mb=812.0,
            ready_seconds=14.0,
            images=64,
        ),
        "slices": {
            f"label={label}": {"accuracy": 0.9 - place / 100, "log_loss": 0.3, "examples": 60.0}
            for place, label in enumerate(labels)
        },
        "images": {"train": 2100, "val": 300, "test": 600, "rejected": 2},
        "pushed_path": "out/serving/clothes/2",
        "data": "data/clothes",
        "seconds": {"ImageExampleGen": 12.0, "Trainer": 240.0, "Evaluator": 22.0, "total": 280.0},
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
        "warnings": (f"class {labels[0]} has few images",),
    }
    return RunSummary(**{**facts, **changes})


def report(labels: tuple[str, ...] = LABELS, images: int = 3000, **changes: Any) -> RunReport:
    """Everything that a page can show."""
    facts: dict[str, Any] = {
        "run_id": "20261124-114956-491c",
        "started": "2026-11-24 11:49 UTC",
        "summary": summary(labels),
        "next": "a server that watches the folder loads it by itself",
        "data": data(labels, images),
        "training": training(labels),
        "evaluation": evaluation(labels, images // 5),
        "before": Before(run_id="20261123-114956-0f87", data=data(labels, images, seed=1)),
        "config": f"data:\n  layout: auto\n  class: '{labels[0]}'\n",
        "commands": ("effnet run --data data/clothes --output out",),
        "lineage": (("Data", "data/clothes"), ("Model", "out/serving/clothes/2")),
        "seed": 7,
    }
    return RunReport(**{**facts, **changes})


def history(runs: int = 30) -> tuple[HistoryRow, ...]:
    """Rows of runs, the newest first, of each verdict in turn."""
    verdicts = ("pushed", "refused", "pushed", "unchanged", "failed")
    rows = []
    for place in range(runs):
        verdict = verdicts[place % len(verdicts)]
        judged = verdict in ("pushed", "refused")
        accuracy = 0.9 - 0.002 * place - (0.06 if verdict == "refused" else 0.0)
        rows.append(
            HistoryRow(
                run_id=f"20261124-{235959 - place}-{place:04x}",
                verdict=verdict,
                started="2026-11-24 23:59 UTC",
                accuracy=accuracy if judged else None,
                interval=(accuracy - 0.03, accuracy + 0.03) if judged else None,
                seconds=280.0 + place,
                link=f"runs/{place}/report.html",
                version=str(runs - place) if verdict == "pushed" else None,
                serving=place == 0,
                warnings=place % 3,
                note="a file is missing" if verdict == "failed" else None,
            )
        )
    return tuple(rows)
