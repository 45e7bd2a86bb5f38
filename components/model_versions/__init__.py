"""The serving directory: numbered versions of one model, each complete before it is visible.

    serving/<model name>/<version>/    a SavedModel, as TensorFlow Serving expects it
        assets.extra/model.json        what it is: digest, run, when it was pushed
        assets.extra/model_card.md     the same for people: purpose, data, quality, limits
        assets.extra/schema.pbtxt      the schema that its data followed
        assets.extra/learnt_images.npy the images that it has learnt from
        assets.extra/train_statistics.pb  their statistics
    serving/<model name>/.withdrawn/   versions that a person took back: their numbers stay taken,
        <version>.digest               and their models are not pushed again, also once removed
    serving/<model name>/.failed/      versions that the cluster did not take into service
    serving/<model name>/.hold         while it is there nothing is pushed
    serving/<model name>/.lock         held by the one process that writes here, for seconds

The highest visible number serves, and every change of it is one rename, which is atomic: neither
a reader nor a crash ever meets half a version, or another than the former one or the new one.
Reading takes no lock.

In a bucket, `serving/<model name>/versions.json` takes the place of the hidden folders and of the
rename; see `bucket`. `versions_at` returns the one or the other.
"""

from components.model_versions.directory import FolderVersions, ModelVersions, versions_at
from components.model_versions.holds import Hold, read_hold, release
from components.model_versions.publishing import PushWithheldError, publish, remove_old
from components.model_versions.switching import VersionError, promote, roll_back, withdraw
from components.model_versions.versions import (
    CARD_FACT,
    FACTS_FILE,
    SCHEMA_FILE,
    AnyVersion,
    Version,
    list_versions,
    model_digest,
    read_training,
    serving_state,
    serving_version,
)

__all__ = [
    "CARD_FACT",
    "FACTS_FILE",
    "SCHEMA_FILE",
    "AnyVersion",
    "FolderVersions",
    "Hold",
    "ModelVersions",
    "PushWithheldError",
    "Version",
    "VersionError",
    "list_versions",
    "model_digest",
    "promote",
    "publish",
    "read_hold",
    "read_training",
    "release",
    "remove_old",
    "roll_back",
    "serving_state",
    "serving_version",
    "versions_at",
    "withdraw",
]
