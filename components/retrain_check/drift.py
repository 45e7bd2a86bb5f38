"""How far features have moved between two sets of training images, by TFDV."""

import math

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.retrain_check.statistics import Statistics, feature_name

_TYPES = {
    statistics_pb2.FeatureNameStatistics.INT: schema_pb2.INT,
    statistics_pb2.FeatureNameStatistics.FLOAT: schema_pb2.FLOAT,
    statistics_pb2.FeatureNameStatistics.STRING: schema_pb2.BYTES,
}
_ANY = 1.0  # No distance is greater: TFDV measures only where it has a bound.


def distances(now: Statistics, before: Statistics) -> dict[str, float]:
    """Returns the distance of each feature that both have, in [0, 1].

    Of words it is the L-infinity distance of their shares, of numbers the Jensen-Shannon
    divergence of their histograms.

    Args:
        now: of the training images of today.
        before: of those that the model which serves was trained on.
    """
    found = tfdv.validate_statistics(now, _comparing(now, before), previous_statistics=before)
    measured = {
        ".".join(info.path.step): info.drift_measurements[0].value for info in found.drift_skew_info
    }
    return {name: value for name, value in measured.items() if not math.isnan(value)}


def _comparing(now: Statistics, before: Statistics) -> schema_pb2.Schema:
    """A schema that asks for nothing but these distances."""
    known = _types(before)
    schema = schema_pb2.Schema()
    for name, kind in _types(now).items():
        if known.get(name) != kind:
            continue
        feature = schema.feature.add(name=name, type=kind)
        comparator = feature.drift_comparator
        if kind == schema_pb2.BYTES:
            comparator.infinity_norm.threshold = _ANY
        else:
            comparator.jensen_shannon_divergence.threshold = _ANY
    return schema


def _types(statistics: Statistics) -> dict[str, int]:
    return {
        feature_name(one): _TYPES[one.type]
        for dataset in statistics.datasets
        for one in dataset.features
        if one.type in _TYPES
    }
