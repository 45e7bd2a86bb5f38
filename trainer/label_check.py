"""Likely label errors among the images that are trained on, without a second training."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from components import features
from components.run_report.label_issues import find_label_issues
from components.run_report.parts import LabelIssues
from trainer.activation_source import ActivationSource
from trainer.model import Classifier
from trainer.task import Data

# Of a larger data set a sample is looked at.
MOST_IMAGES = 20_000
_FOLDS = 5
# Of the linear classifiers that were tried, a logistic regression has the fewest false alarms for
# what it finds; on the components it takes a tenth of the time. The penalty keeps it from being
# too sure, in proportion to the mean loss, so that it means the same for any number of images.
_STRENGTH = 30.0
_COMPONENTS = 128
_METHOD = "a linear classifier on the features of {backbone}, five-fold"
_SPLITS = (features.TRAIN, features.VAL)


def find(
    data: Data, source: ActivationSource, pretrained: Classifier, *, warm: bool = False
) -> LabelIssues:
    """Looks for images of train and val whose label is likely wrong.

    The trained network has learnt the wrong labels, too. What judges an image here has not seen
    its label: the backbone is as it was before the first stage, and the classifier upon it has
    learnt from the other folds.

    Args:
        data: that was trained on.
        source: of the training, whose cached activations are used where they still hold.
        pretrained: the network as it was before the first stage.
        warm: whether that is the model which served before: where it has learnt from the same
            images, fewer wrong labels are found.
    """
    backbone = "the model that served before" if warm else "the pretrained backbone"
    rows = {split: _sample(data, split) for split in _SPLITS}
    pooled = [source.pooled(split, rows[split], pretrained) for split in _SPLITS]
    indices = {features.TRAIN: data.train, features.VAL: data.val}
    chosen = [(split, indices[split], row) for split in _SPLITS for row in rows[split]]
    labels = np.array([index.labels[row] for _, index, row in chosen])
    return find_label_issues(
        [index.ids[row].decode() for _, index, row in chosen],
        [data.labels[label] for label in labels],
        out_of_sample(np.concatenate(pooled), labels, len(data.labels)),
        data.labels,
        method=_METHOD.format(backbone=backbone),
        splits=[split for split, _, _ in chosen],
    )


def out_of_sample(pooled: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Returns each image's probabilities by a linear classifier that has not learnt its label.

    Args:
        pooled: float32 [images, channels].
        labels: int64 [images].
        classes: their number.

    Returns:
        float64 [images, classes]; NaN for images of classes with fewer images than folds.
    """
    counts = np.bincount(labels, minlength=classes)
    enough = np.flatnonzero(counts[labels] >= _FOLDS)
    probabilities = np.full((len(labels), classes), np.nan)
    known = np.unique(labels[enough])
    if len(known) > 1:
        probabilities[enough] = 0.0
        components = min(_COMPONENTS, len(enough), pooled.shape[1])
        # They depend on no label, so that those of all images may stand for each fold's.
        reduced = PCA(components, random_state=0).fit_transform(pooled[enough])
        # The penalty must mean the same for every backbone; features that are all equal stay 0.
        reduced /= max(float(reduced.std()), 1e-12)
        probabilities[np.ix_(enough, known)] = cross_val_predict(
            LogisticRegression(C=_STRENGTH / len(enough), max_iter=100),
            reduced,
            labels[enough],
            cv=StratifiedKFold(_FOLDS, shuffle=True, random_state=0),
            method="predict_proba",
        )
    return probabilities


def _sample(data: Data, split: str) -> np.ndarray:
    """Rows of a split, ascending; its share of the sample, drawn by the images' ids."""
    index = data.train if split == features.TRAIN else data.val
    total = len(data.train) + len(data.val)
    count = len(index) if total <= MOST_IMAGES else MOST_IMAGES * len(index) // total
    return np.sort(np.argsort(index.image_keys, kind="stable")[:count])
