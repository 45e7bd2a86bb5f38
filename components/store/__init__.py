"""The one way to read and write what is no artifact: on a file system, s3 or gs.

Input images, the serving directory, the accepted schema, summaries and checkpoints lie below an
address, which is a local folder (a mounted volume as well), `s3://bucket/...` or `gs://bucket/...`:

    store = open_store("s3://bucket/output")
    runs = store.child("runs")
    runs.write_text("20260101-000000-abcd/summary.json", "{}")

A file is there whole or not at all, on each of them. A tree is not: write what tells that it is
complete after it. Object stores have no rename, so what must change at once is one small file that
is replaced on condition (`replace_text`).

Credentials come from the environment, as each store's own SDK finds them, and an endpoint of one's
own from AWS_ENDPOINT_URL (S3) or STORAGE_EMULATOR_HOST (GCS).
"""

from components.store.base import (
    MAX_TEXT_BYTES,
    ConflictError,
    FileFacts,
    Stamped,
    Store,
    StoreError,
)
from components.store.open import MAX_CONNECTIONS, is_remote, open_store

__all__ = [
    "MAX_CONNECTIONS",
    "MAX_TEXT_BYTES",
    "ConflictError",
    "FileFacts",
    "Stamped",
    "Store",
    "StoreError",
    "is_remote",
    "open_store",
]
