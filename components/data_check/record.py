"""What a check leaves of itself, for whoever asks later how the data differs from its schema.

It lies in the run's folder, which a person reaches whatever became of the artifacts: TFX deletes
those of a node that fails, and a cluster keeps its own elsewhere.
"""

from pathlib import Path

from pydantic import ValidationError

from components.errors import DataError
from components.evaluator.verdict import Record
from components.store import Store, open_store

CHECK_FILE = "data_check.json"
FOLLOWED_FILE = "schema.pbtxt"
# The last one tells that all are there.
FILES = (FOLLOWED_FILE, CHECK_FILE)


class Check(Record):
    """What was checked, and against what.

    Attributes:
        images: number of images by split and class.
        reference: the schema that the data was to follow, in text format.
        anomalies: what TFDV found, in words.
    """

    images: dict[str, dict[str, int]]
    reference: str
    anomalies: tuple[str, ...]

    @classmethod
    def read(cls, run: Store) -> "Check | None":
        """Returns what is in a run's folder; None where no check has come to its end.

        Raises:
            DataError: if it is damaged.
            StoreError: if it can't be read.
        """
        text = run.read_text(CHECK_FILE)
        try:
            return None if text is None else cls.model_validate_json(text)
        except ValidationError:
            raise DataError(
                f"{run.address}/{CHECK_FILE} is damaged: remove it, and the run before counts, or "
                "run again, which writes a new one"
            ) from None

    def leave(self, folder: Path, followed: str) -> None:
        """Writes it, beside a schema that the data follows, in text format."""
        store = open_store(str(folder))
        store.write_text(FOLLOWED_FILE, followed)
        store.write_text(CHECK_FILE, self.model_dump_json(indent=1))
