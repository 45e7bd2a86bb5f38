"""ServingBaseline: the model that serves now, as an artifact of the pipeline."""

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.serving_baseline import driver, executor

MODEL_DIR = "model_dir"
CODE_DIGEST = "code_digest"
BASELINE = "baseline"


class ServingBaselineSpec(ComponentSpec):
    """Where to look, and what comes out."""

    PARAMETERS: ClassVar = {
        MODEL_DIR: ExecutionParameter(type=str),
        CODE_DIGEST: ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, ChannelParameter]] = {}
    OUTPUTS: ClassVar = {BASELINE: ChannelParameter(type=standard_artifacts.Model)}


class ServingBaseline(base_component.BaseComponent):
    """Copies the version that serves now, with its schema, to a Model artifact.

    Where no version serves yet the artifact is empty; `components.serving_baseline.executor`
    tells the two apart.
    """

    SPEC_CLASS = ServingBaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(self, model_dir: str, code_digest: str):
        """Takes where the model's versions lie, and the digest of this package's sources.

        Args:
            model_dir: their folder, or their address on S3 or GCS.
            code_digest: of this package's sources; part of the cache key.
        """
        baseline = types.Channel(type=standard_artifacts.Model)
        spec = ServingBaselineSpec(model_dir=model_dir, code_digest=code_digest, baseline=baseline)
        super().__init__(spec)
