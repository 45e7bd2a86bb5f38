"""Looks at what is new since the model that serves was trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from components import features
from components.retrain_check.config import RetrainConfig
from components.retrain_check.decision import CODE, SETTINGS, Finding
from components.retrain_check.drift import distances
from components.retrain_check.statistics import Statistics

_SHOWN = 10


@dataclass(frozen=True)
class Training:
    """What a model is, or was, trained on and by.

    Attributes:
        images: table of `components.learnt_images`, without those of earlier trainings.
        classes: names.
        statistics: of the training images.
        trained_by: settings and digest of the code.
    """

    images: np.ndarray
    classes: frozenset[str]
    statistics: Statistics
    trained_by: Mapping[str, Any]


def look(today: Training, served: Training, config: RetrainConfig) -> Iterator[Finding]:
    """Yields all that was looked at; nothing is decoded, downloaded or trained for it."""
    yield _images(today.images, served.images, config)
    yield _classes(today.classes, served.classes)
    moved = distances(today.statistics, served.statistics)
    label = moved.pop(features.LABEL, 0.0)
    yield _drift("shares of classes", {"label": label}, config.max_label_drift)
    yield _drift("other features", moved, config.max_feature_drift)
    yield _settings(today.trained_by[SETTINGS], served.trained_by[SETTINGS])
    changed = today.trained_by[CODE] != served.trained_by[CODE]
    yield Finding(
        what="code, libraries, weights' file",
        found="other ones" if changed else "the same",
        bound=None if config.on_code_change else "do not count (retrain.on_code_change)",
        pays=changed and config.on_code_change,
    )


def _images(today: np.ndarray, served: np.ndarray, config: RetrainConfig) -> Finding:
    pair = ["content", "label"]
    touched = np.unique(np.setxor1d(today[pair], served[pair])["content"])
    new = int((~np.isin(touched, served["content"])).sum())
    gone = int((~np.isin(touched, today["content"])).sum())
    before = len(np.unique(served["content"]))
    found = f"{new} new, {len(touched) - new - gone} relabelled, {gone} gone; {before} before"
    # By the quotient: a product may come out above a bound that is just reached.
    share = len(touched) / max(before, 1)
    enough = len(touched) >= config.min_images and share >= config.min_share
    return Finding(
        what="images of train and val",
        found=found,
        bound=f">= {config.min_images}, and {config.min_share:.3g} of those before",
        pays=enough,
    )


def _classes(today: frozenset[str], served: frozenset[str]) -> Finding:
    changes = [f"new: {_names(today - served)}"] * bool(today - served)
    changes += [f"gone: {_names(served - today)}"] * bool(served - today)
    return Finding(what="classes", found="; ".join(changes) or "the same", pays=bool(changes))


def _drift(what: str, moved: Mapping[str, float], bound: float | None) -> Finding:
    if not moved:
        return Finding(what=what, found="none to compare", pays=False)
    furthest = max(moved, key=lambda name: moved[name])
    return Finding(
        what=what,
        found=f"moved by {moved[furthest]:.3f} at most ({furthest})",
        bound="any" if bound is None else f"> {bound:g}",
        pays=bound is not None and moved[furthest] > bound,
    )


def _settings(today: Mapping[str, Any], served: Mapping[str, Any]) -> Finding:
    changed = {name for name in {*today, *served} if today.get(name) != served.get(name)}
    found = f"other {_names(changed)}" if changed else "the same"
    return Finding(what="settings of transform and trainer", found=found, pays=bool(changed))


def _names(names: frozenset[str] | set[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
