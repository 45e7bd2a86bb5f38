"""An executor that waits to be ended; it needs nothing of TFX."""

import inspect
import time
from pathlib import Path


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
