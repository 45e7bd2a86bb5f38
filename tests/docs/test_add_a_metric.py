"""The way to a metric of one's own is as docs/how-to/add-a-metric.md tells it."""

import re
from pathlib import Path

import pytest

from components.errors import ConfigError
from components.evaluator import config, metrics
from components.evaluator.config import RuleConfig
from tests.components.evaluator import test_metrics

PAGE = Path(__file__).parents[2] / "docs/how-to/add-a-metric.md"


def test_the_steps_lead_to_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    names, ranges, value, test = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    asked = {"metric": "matthews_correlation", "min": -1.0}
    with pytest.raises(ConfigError, match="unknown metric"):
        RuleConfig.parse(asked)

    written: dict[str, dict] = {}
    for module, block in ((config, names + ranges), (metrics, value), (test_metrics, test)):
        written[module.__name__] = dict(vars(module))
        exec(block, written[module.__name__])
    ours, theirs = written[config.__name__], written[metrics.__name__]
    # The page shows of a tuple or a mapping only what comes in.
    monkeypatch.setattr(config, "METRICS", (*config.METRICS, *ours["METRICS"]))
    monkeypatch.setattr(config, "_RANGES", ours["_RANGES"])
    monkeypatch.setattr(metrics, "_METRICS", {**metrics._METRICS, **theirs["_METRICS"]})

    RuleConfig.parse(asked)
    written[test_metrics.__name__]["test_matthews_correlation_is_that_of_its_definition"]()
