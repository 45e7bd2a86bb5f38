"""What tells two trainings apart beside their settings."""

import hashlib
from pathlib import Path


def file_digest(weights: str) -> str:
    """Returns the hex SHA-256 of a file that is given by its path; "" for a source by its name."""
    path = Path(weights)
    if not path.is_file():
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
