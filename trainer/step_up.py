"""When a search through the family goes on to a larger member, and when it stops."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.backbones.catalogue import BACKBONES
from trainer.search_config import SearchConfig

# What a search leaves, in the TunerResults artifact and in the run's folder.
TABLE_FILE = "search.json"
PLOT_FILE = "search.png"


@dataclass(frozen=True)
class Trial:
    """One member with one set of weights, trained and judged.

    Attributes:
        backbone, weights: what was tried.
        image_size: height and width in pixels that the network saw.
        parameters: millions, of the network as it was trained.
        val_accuracy, train_accuracy: after the last stage, in [0, 1]; None where it failed.
        latency_ms: of the network for one image; None where it failed.
        seconds: that the trial took.
        problem: why it failed; empty where it did not.
    """

    backbone: str
    weights: str
    image_size: int
    parameters: float | None = None
    val_accuracy: float | None = None
    train_accuracy: float | None = None
    latency_ms: float | None = None
    seconds: float = 0.0
    problem: str = ""


def reason_to_stop(
    config: SearchConfig, tried: Sequence[Trial], candidate: str, elapsed: float
) -> str | None:
    """Tells why the search ends before a member is tried; None if it goes on.

    Args:
        config: the thresholds.
        tried: all trials so far, in order.
        candidate: the backbone to be tried next.
        elapsed: seconds that the trials have taken.
    """
    parameters = BACKBONES[candidate].parameters
    if config.max_parameters is not None and parameters > config.max_parameters:
        limit = f"the limit is {config.max_parameters:g}"
        return f"{candidate} has {parameters:g} million parameters, {limit}"
    if tried and elapsed > config.minutes * 60:
        return f"{config.minutes:g} minutes are over"
    if not tried or tried[-1].backbone == candidate:
        return None  # other weights of the same member
    member = tried[-1].backbone
    last = [trial for trial in tried if trial.backbone == member]
    before = [trial for trial in tried if trial.backbone != member]
    return _over_fitting(config, last) or _too_slow(config, last) or _no_gain(config, last, before)


def _over_fitting(config: SearchConfig, trials: Sequence[Trial]) -> str | None:
    gaps = [
        trial.train_accuracy - trial.val_accuracy
        for trial in trials
        if trial.train_accuracy is not None and trial.val_accuracy is not None
    ]
    if gaps and min(gaps) > config.max_gap:
        name = trials[0].backbone
        return (
            f"{name} over-fits: train less val accuracy is {min(gaps):.3f} (> {config.max_gap:g})"
        )
    return None


def _too_slow(config: SearchConfig, trials: Sequence[Trial]) -> str | None:
    found = [trial.latency_ms for trial in trials if trial.latency_ms is not None]
    if config.max_latency_ms is None or not found or min(found) <= config.max_latency_ms:
        return None
    return (
        f"{trials[0].backbone} takes {min(found):.0f} ms an image, the limit is "
        f"{config.max_latency_ms:g}"
    )


def _no_gain(config: SearchConfig, last: Sequence[Trial], before: Sequence[Trial]) -> str | None:
    now, then = _best(last), _best(before)
    if now is None or then is None or now - then >= config.min_gain:
        return None  # a member that could not be had says nothing of the next one
    return (
        f"{last[0].backbone} adds {now - then:+.4f} to the val accuracy, less than "
        f"{config.min_gain:g}"
    )


def _best(trials: Sequence[Trial]) -> float | None:
    return max((t.val_accuracy for t in trials if t.val_accuracy is not None), default=None)


def fits(config: SearchConfig, trial: Trial) -> bool:
    """Tells whether a trial may win: it ended, and is fast enough."""
    if trial.val_accuracy is None or trial.latency_ms is None:
        return False
    return config.max_latency_ms is None or trial.latency_ms <= config.max_latency_ms
