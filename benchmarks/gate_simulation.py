"""How often the gate is wrong, by models whose true accuracies are known.

    .venv/bin/python benchmarks/gate_simulation.py

The model that serves is right on 90 % of all images. Each candidate differs from it on 8 % of them
and has the true difference of the row. Test sets are drawn again and again; the table shows the
share of them on which a candidate passes each rule.
"""

import numpy as np

from components.evaluator.evidence import CONFIDENCE, least_images
from components.evaluator.predictions import Answers, Predictions
from components.evaluator.rules import compare

SIZES = (200, 1_000, 5_000)
DIFFERENCES = (-0.03, -0.02, -0.01, 0.0, 0.01, 0.02)
ACCURACY, DIFFER, DRAWS = 0.90, 0.08, 1_000
# max_decline, and whether by the interval's worse end (confidence 0.95).
RULES = {
    "no less": (0.0, False),
    "0.01 less": (0.01, False),
    "0.01, sure": (0.01, True),
    "0.02, sure": (0.02, True),
    "0.03, sure": (0.03, True),
}


def main() -> None:
    """Prints a table in Markdown."""
    print("| test images | true difference |", " | ".join(RULES), "|")
    print("| --- " * (len(RULES) + 2) + "|")
    rng = np.random.default_rng(0)
    for images in SIZES:
        for difference in DIFFERENCES:
            passed = np.mean([passes(rng, images, difference) for _ in range(DRAWS)], axis=0)
            shares = " | ".join(f"{share:.0%}" for share in passed)
            print(f"| {images:,} | {difference:+.2f} | {shares} |", flush=True)


def passes(rng: np.random.Generator, images: int, difference: float) -> list[bool]:
    """Draws a test set, and tells which rules the candidate passes on it."""
    found = compare(draw(rng, images, difference))
    assert found is not None
    assert found.interval is not None
    ends = {False: found.difference, True: found.interval[0]}
    return [
        round(ends[sure], 12) >= -decline
        and not (sure and images < least_images(decline, CONFIDENCE))
        for decline, sure in RULES.values()
    ]


def draw(rng: np.random.Generator, images: int, difference: float) -> Predictions:
    """Draws a test set, and what both models answer to it."""
    better, worse = (DIFFER + difference) / 2, (DIFFER - difference) / 2
    both = ACCURACY - worse
    kinds = rng.choice(4, images, p=[both, better, worse, 1 - both - better - worse])
    labels = np.zeros(images, np.int64)
    candidate, baseline = (_answers(~np.isin(kinds, right), labels) for right in ([0, 1], [0, 2]))
    ids = tuple(str(number) for number in range(images))
    return Predictions(ids, {"label": labels}, candidate, baseline)


def _answers(wrong: np.ndarray, labels: np.ndarray) -> Answers:
    return Answers(("a", "b"), np.eye(2)[wrong.astype(int)], wrong.astype(int), labels)


if __name__ == "__main__":
    main()
