"""Statistics of the training images, as far as one run's can be compared with another's."""

from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0.statistics_pb2 import (
    DatasetFeatureStatisticsList as Statistics,
)
from tensorflow_metadata.proto.v0.statistics_pb2 import FeatureNameStatistics
from tfx import types
from tfx.types import artifact_utils

from components import features
from components.errors import DataError

FILE = "train_statistics.pb"
_TFX_FILE = "FeatureStats.pb"
# The image itself, and what is another for each image: it can't drift, and has users' file names.
_LEFT_OUT = frozenset({features.IMAGE, features.ID, features.GROUP, features.CONTENT_HASH})


def train_statistics(artifact: types.Artifact) -> Statistics:
    """Returns those of the split train, of what can be compared, as StatisticsGen wrote them."""
    folder = artifact_utils.get_split_uri([artifact], features.TRAIN)
    found = Statistics.FromString((Path(folder) / _TFX_FILE).read_bytes())
    for dataset in found.datasets:
        kept = [one for one in dataset.features if feature_name(one) not in _LEFT_OUT]
        del dataset.features[:]
        dataset.features.extend(kept)
    return found


def feature_name(statistics: FeatureNameStatistics) -> str:
    """Returns a feature's name."""
    return statistics.name or ".".join(statistics.path.step)


def read(folder: Path) -> Statistics | None:
    """Reads what was kept in a version's folder; None where there is nothing.

    Raises:
        DataError: if it is damaged.
    """
    file = folder / FILE
    try:
        return Statistics.FromString(file.read_bytes())
    except FileNotFoundError:
        return None
    except DecodeError as error:
        raise DataError(
            f"'{file}' is damaged ({error}): put it back from a copy, or remove it, and the next "
            "run trains"
        ) from None
