"""Two models on the same images: how sure is the difference that is seen between them?"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

REPLICATES = 1000
# Fewer replicates with a value than this share, and there is no interval.
_LEAST_SHARE = 0.9
CONFIDENCE = 0.95  # of what is told; rules name their own


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test: do two models err on equally many of the images that they differ on?

    Attributes:
        only_candidate: images that the candidate alone has right.
        only_baseline: images that the model that serves alone has right.
        p_value: two-sided; chance of a difference like this between models that are equal.
    """

    only_candidate: int
    only_baseline: int
    p_value: float


def mcnemar(candidate_right: np.ndarray, baseline_right: np.ndarray) -> McNemar:
    """Tests whether one of two models is right more often.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated
    proportions"; exact, by the binomial distribution.

    Args:
        candidate_right: bool [images].
        baseline_right: bool [images], of the same.
    """
    candidate = int((candidate_right & ~baseline_right).sum())
    baseline = int((~candidate_right & baseline_right).sum())
    differ = candidate + baseline
    p_value = stats.binomtest(candidate, differ).pvalue if differ else 1.0
    return McNemar(candidate, baseline, float(p_value))


def bootstrap_interval(
    difference: Callable[[np.ndarray], float | None], images: int, confidence: float
) -> tuple[float, float] | None:
    """Returns the interval of a difference by the paired bootstrap, or None if it has none.

    Images are drawn again with replacement, the same ones for both models; the interval lies
    between the quantiles of what comes out. The same images give the same interval.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; percentile interval.

    Args:
        difference: of the two models on rows int64 [images]; None where it can't be computed.
        images: their number.
        confidence: of the interval, e.g. 0.95.
    """
    rng = np.random.default_rng(0)
    drawn = (difference(rng.integers(0, images, images)) for _ in range(REPLICATES))
    found = [value for value in drawn if value is not None]
    if len(found) < _LEAST_SHARE * REPLICATES:
        return None
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(found, [tail, 1 - tail])
    return float(lower), float(upper)


def least_images(decline: float, confidence: float) -> int:
    """Returns how many images it takes at least to show that a model is worse on few of them.

    On fewer, a model that is worse on this share of all images would too often show none of it,
    and the bootstrap, which draws only what was seen, could not know.

    Source: Hanley and Lippman-Hand 1983, "If nothing goes wrong, is everything all right?".

    Args:
        decline: share of the images; 1 or more, which no share is, takes one image.
        confidence: of the interval, of which half of the rest lies beyond either end.
    """
    if decline >= 1:
        return 1
    return math.ceil(math.log((1 - confidence) / 2) / math.log1p(-decline))
