from pathlib import Path

import pandas as pd
import pytest
from google.protobuf import text_format
from tensorflow_model_analysis.api.model_eval_lib import analyze_raw_data
from tensorflow_model_analysis.proto import config_pb2
from tfx.types import standard_artifacts

from components.evaluator.verdict import FILE, Rule, Verdict
from tests.statistics_of import statistics_of

EVAL_CONFIG = """
model_specs { label_key: "label_id" prediction_key: "probabilities" }
slicing_specs {}
metrics_specs {
  metrics { class_name: "ExampleCount" }
  metrics { class_name: "SparseCategoricalAccuracy" }
}
"""


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an Evaluator leaves for a candidate that has three of four test images right."""
    folder = tmp_path_factory.mktemp("evaluation")
    answers = pd.DataFrame(
        {"label_id": [0, 0, 1, 1], "probabilities": [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [1, 0]]}
    )
    config = text_format.Parse(EVAL_CONFIG, config_pb2.EvalConfig())
    analyze_raw_data(answers, config, output_path=str(folder))
    verdict = Verdict(
        rules=(Rule(metric="accuracy", passed=True),), metrics={"macro_f1": 0.75, "auc": None}
    )
    (folder / FILE).write_text(verdict.model_dump_json())
    return folder


@pytest.fixture(scope="session")
def statistics(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.ExampleStatistics:
    """What StatisticsGen leaves for two training images."""
    folder = tmp_path_factory.mktemp("statistics")
    return statistics_of(folder, label=["hat", "cap"], id=["jones/1.jpg", "smith/2.jpg"])
