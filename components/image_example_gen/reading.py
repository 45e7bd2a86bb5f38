"""Reads what an item stands for: an image file, or a record of a shard of TFRecords."""

from components.image_example_gen import checks, data_files, tfrecords
from components.image_example_gen.config import DataConfig
from components.image_example_gen.source import Item
from components.store import is_remote


def read_bounded(item: Item, config: DataConfig) -> bytes:
    """Reads a whole file, or a record's payload.

    Raises:
      OSError: if it can't be read.
      StoreError: if the bucket that it lies in can't be used.
      RejectedError: if it is larger than the configuration allows, or its checksum is wrong.
    """
    # A payload holds more than the image; what is meant is to read nothing huge.
    size = item.length if item.length >= 0 else _file_size(item)
    if size > config.max_bytes:
        raise checks.RejectedError(checks.TOO_MANY_BYTES, f"{size} bytes, limit {config.max_bytes}")
    if item.length < 0:
        if is_remote(item.path):
            return data_files.read(item.path)
        with open(item.path, "rb") as file:
            return file.read(config.max_bytes + 1)
    try:
        return tfrecords.read_payload(item)
    except tfrecords.MalformedRecordError as error:
        raise checks.RejectedError(checks.MALFORMED_RECORD, str(error)) from None


def _file_size(item: Item) -> int:
    """In a bucket, what was listed: to ask again for each image would double the requests."""
    listed = item.size if is_remote(item.path) else 0
    return listed or data_files.size(item.path)


def read_image(item: Item, config: DataConfig) -> bytes:
    """Reads an image file that the exported model can decode; nothing else need be known of it.

    Raises:
      RejectedError: with the reason why it can't be used, as ingestion gives it.
    """
    try:
        contents = read_bounded(item, config)
        if item.length >= 0:
            contents = tfrecords.parse_image(contents, config.fields.image)
    except OSError as error:
        raise checks.RejectedError(checks.UNREADABLE, error.strerror or str(error)) from None
    except tfrecords.MalformedRecordError as error:
        raise checks.RejectedError(checks.MALFORMED_RECORD, str(error)) from None
    checks.check_image(contents, config)
    return contents
