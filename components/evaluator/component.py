"""Evaluator: TFX's, for a baseline that may be empty."""

from tfx.components.evaluator import component as tfx_component
from tfx.dsl.components.base import executor_spec

from components.evaluator import executor


class Evaluator(tfx_component.Evaluator):
    """Judges the candidate on raw examples through the signature that will serve."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
