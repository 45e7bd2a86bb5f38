"""Artifact types of our own."""

from tfx.types.artifact import Artifact


class IngestionReport(Artifact):
    """report.json and rejected.jsonl: what was ingested, and what was set aside and why."""

    TYPE_NAME = "IngestionReport"


class DataFindings(Artifact):
    """findings.json: what is wrong with the data, in words."""

    TYPE_NAME = "DataFindings"
