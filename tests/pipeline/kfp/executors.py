"""Executors that need nothing of TFX: one waits to be ended, one leaves a part of the report."""

import inspect
import time
from pathlib import Path

from components.errors import DataError
from components.run_report.parts import DataPart


class Waiting:
    class Context:
        def __init__(self, unique_id, tmp_dir):
            self.tmp_dir = tmp_dir

    def __init__(self, context):
        assert Path(context.tmp_dir).is_dir()
        assert "beam_pipeline_args" not in inspect.signature(self.Context).parameters

    def Do(self, inputs, outputs, properties):
        mark = Path(properties["mark"])
        mark.write_text("at work")
        try:
            time.sleep(60)
        finally:
            mark.write_text("put away")


class Leaving:
    class Context:
        def __init__(self, unique_id, tmp_dir):
            self.tmp_dir = tmp_dir

    def __init__(self, context):
        assert Path(context.tmp_dir).is_dir()

    def Do(self, inputs, outputs, properties):
        DataPart(layout="folders", images={}).leave(properties["artifact"])
        if properties["fails"]:
            raise DataError("no images")
