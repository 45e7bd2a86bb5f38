"""What `effnet data` does once TensorFlow is there: ingestion's own check, without a run."""

import tempfile
from collections.abc import Callable
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from components.batch_scoring.model import FoundModel
from components.errors import DataError
from components.image_example_gen import report as reports
from components.image_example_gen.source import text_of
from pipeline.config import PipelineConfig
from pipeline.data_advice import advice
from pipeline.data_result import DataReport
from pipeline.preflight import Found
from pipeline.summary import Failure
from pipeline.terminal import STYLES
from trainer.config import resolve_image_size
