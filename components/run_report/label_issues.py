"""Likely label errors, by what a model thinks of images that it has not learnt from.

Source: Northcutt et al. 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
Journal of Artificial Intelligence Research 70, in its authors' library, cleanlab.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from components.run_report.parts import LabelIssue, LabelIssues, Thumbnail

SHOWN = 24
_IDS = 10_000


def find_label_issues(
    ids: Sequence[str],
    labels: Sequence[str],
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    method: str,
    splits: Sequence[str | None] | None = None,
    learnt: np.ndarray | None = None,
) -> LabelIssues:
    """Ranks the images whose label is likely wrong.

    How many are wrong is estimated from those that the model takes for another class as surely as
    it takes images of that class for it; those whose label is the least likely are named. Of
    images that the model has learnt from, it says too little for that, as it has learnt their
    labels, wrong ones as well: of these, all are named that it takes for another class even so.
    Images of a class that the model doesn't know, or with numbers that are not finite, are not
    judged.

    Args:
        ids: of the images.
        labels: the class names that they were given.
        probabilities: float [images, classes], best by a model that has not learnt from them.
        classes: class names in order of the columns.
        method: in a few words, where the probabilities are from.
        splits: that the images are in.
        learnt: bool [images]: whether the model has learnt from them; by default from none.

    Returns:
        The surest first; without pictures, which `with_pictures` adds.
    """
    columns = {name: column for column, name in enumerate(classes)}
    given = np.array([columns.get(label, -1) for label in labels], np.int64)
    rows = np.flatnonzero((given >= 0) & np.isfinite(probabilities).all(axis=1))
    given = given[rows]
    if len(rows) < len(labels):  # they may be large
        probabilities = probabilities[rows]
    learnt = np.zeros(len(rows), bool) if learnt is None else learnt[rows]
    found = [
        LabelIssue(
            image=Thumbnail(
                id=ids[rows[at]],
                label=classes[given[at]],
                split=splits[rows[at]] if splits else None,
            ),
            suggested=classes[probabilities[at].argmax()],
            given_probability=probabilities[at, given[at]],
            suggested_probability=probabilities[at].max(),
        )
        for at in _likely_wrong(given, probabilities, learnt)
    ]
    return LabelIssues(
        judged=len(rows),
        count=len(found),
        method=method,
        ids=tuple(issue.image.id for issue in found[:_IDS]),
        shown=tuple(found[:SHOWN]),
    )


def with_pictures(issues: LabelIssues, jpegs: Mapping[str, str | None]) -> LabelIssues:
    """Returns likely label errors with JPEGs in base64, by the images' ids."""
    shown = tuple(
        issue.model_copy(
            update={"image": issue.image.model_copy(update={"jpeg": jpegs.get(issue.image.id)})}
        )
        for issue in issues.shown
    )
    return issues.model_copy(update={"shown": shown})


def _likely_wrong(given: np.ndarray, probabilities: np.ndarray, learnt: np.ndarray) -> np.ndarray:
    """Returns indices of images, the surest first; of equals the one that stands before."""
    of_given = probabilities[np.arange(len(given)), given]
    fresh = np.flatnonzero(~learnt)
    ranked = fresh[np.argsort(of_given[fresh], kind="stable")]
    named = learnt.copy()
    named[ranked[: _count(given[fresh], probabilities[fresh])]] = True
    named &= probabilities.argmax(axis=1) != given
    return np.array([at for at in np.argsort(of_given, kind="stable") if named[at]], np.int64)


def _count(given: np.ndarray, probabilities: np.ndarray) -> int:
    """Estimates how many labels are wrong, of images that the model has not learnt from."""
    if len(np.unique(given)) < 2:  # there is nothing to take one for
        return 0
    from cleanlab.count import num_label_issues  # it takes over a second

    return int(num_label_issues(given, probabilities))
