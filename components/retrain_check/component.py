"""RetrainCheck: tells whether there is anything new to learn since the model that serves."""

import json
from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.experimental import simple_artifacts

from components.retrain_check import executor
from components.retrain_check.config import RetrainConfig


class RetrainCheckSpec(ComponentSpec):
    """What is compared, and by which bounds."""

    PARAMETERS: ClassVar = {
        "settings": ExecutionParameter(type=str),
        "force": ExecutionParameter(type=int),
        executor.TRAINED_BY: ExecutionParameter(type=str),
        "model_dir": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS: ClassVar = {
        "ingestion": ChannelParameter(type=simple_artifacts.File),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "baseline": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS: ClassVar = {"decision": ChannelParameter(type=simple_artifacts.File)}


class RetrainCheck(base_component.BaseComponent):
    """Leaves a decision; what follows must not run where it says so.

    The decision is in `decision.json`, and in the artifact's custom property `retrain` (1 or 0).
    """

    SPEC_CLASS = RetrainCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        ingestion: types.BaseChannel,
        statistics: types.BaseChannel,
        baseline: types.BaseChannel,
        config: RetrainConfig,
        trained_by: dict[str, Any],
        model_dir: str,
        code_digest: str,
    ):
        """Takes what is compared.

        Args:
            ingestion: channel of one File, by ImageExampleGen.
            statistics: channel of one ExampleStatistics.
            baseline: channel of one Model, by ServingBaseline; may be empty.
            config: the bounds.
            trained_by: what a model of this run would be trained by: JSON values, as they are
                recorded with a version that is pushed.
            model_dir: folder of the model's versions, to tell which one serves.
            code_digest: of this package's sources; part of the cache key.
        """
        super().__init__(
            RetrainCheckSpec(
                ingestion=ingestion,
                statistics=statistics,
                baseline=baseline,
                settings=config.model_dump_json(),
                force=int(config.force),
                trained_by=json.dumps(trained_by, sort_keys=True),
                model_dir=model_dir,
                code_digest=code_digest,
                decision=types.Channel(type=simple_artifacts.File),
            )
        )
