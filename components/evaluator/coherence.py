"""Do a model's labels and its probabilities say the same?"""

from collections.abc import Iterator

import numpy as np

from components.evaluator.predictions import Answers
from components.evaluator.verdict import Rule

_TOLERANCE = 1e-6  # of probabilities: classes that are equally likely but for rounding


def coherence(answers: Answers) -> Iterator[Rule]:
    """Yields the refusal of a model that answers a label other than its likeliest class.

    Most metrics go by the labels alone and some by the probabilities alone: where the classes of
    one are in another order, the rules may all pass while clients read the other.

    Args:
        answers: to all test images, those of unknown classes as well.
    """
    chosen = np.take_along_axis(answers.probabilities, answers.predicted[:, None], axis=1)[:, 0]
    likeliest = answers.probabilities.max(axis=1) - _TOLERANCE
    # Numbers that are not finite, and labels that are no classes, agree with nothing.
    agree = (answers.predicted >= 0) & (chosen >= likeliest)
    if agree.all():
        return
    count = int((~agree).sum())
    yield Rule(
        metric="images whose label is not the likeliest class",
        value=count / len(agree),
        bound="<= 0",
        passed=False,
        reason=f"{count} of {len(agree)} test images have a label that does not have the greatest "
        "of their probabilities: the classes of one are in another order than those of the other",
        examples=len(agree),
    )
