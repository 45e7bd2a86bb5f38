"""One of several workers: runs the trainer's entry point by FnArgs that stand in a JSON file."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from trainer.run import run_fn

run_fn(SimpleNamespace(**json.loads(Path(sys.argv[1]).read_text())))
