"""Executors that need nothing of TFX: one waits to be ended, two leave what they found."""

import inspect
import time
from pathlib import Path

from components import run_events
from components.errors import DataError
from components.image_example_gen.records import REJECTED_FILE
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
        (run_events.run_dir() / REJECTED_FILE).write_text("{}\n")
        if properties["fails"]:
            raise DataError("no images")


class Searching(Leaving):
    def Do(self, inputs, outputs, properties):
        found = Path(outputs["tuner_results"][0].uri)
        found.mkdir(parents=True, exist_ok=True)
        (found / "search.json").write_text('{"stopped": "no more", "trials": []}')
        (found / "search.png").write_bytes(b"a plot")
