"""Tuner: TFX's, which also keeps the search's table and plot."""

from tfx.components.tuner import component as tfx_component
from tfx.dsl.components.base import executor_spec

from components.tuner import executor


class Tuner(tfx_component.Tuner):
    """Searches the family for the member that fits best; its outputs are TFX's."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
