"""Evaluator: TFX's, for a baseline that may be empty."""

from typing import Any

from tfx.components.evaluator import component as tfx_component
from tfx.dsl.components.base import executor_spec

from components.evaluator import executor


class Evaluator(tfx_component.Evaluator):
    """Judges the candidate on raw examples through the signature that will serve."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(self, code_digest: str, **given: Any):
        """Takes what TFX's Evaluator takes, and a digest of this package's sources."""
        super().__init__(**given)
        # Beside TFX's own parameters, which are part of the cache key.
        self.spec.exec_properties["code_digest"] = code_digest
