"""Transform: TFX's, for images."""

from tfx.components.transform import component as tfx_component
from tfx.dsl.components.base import executor_spec

from components.transform import executor


class Transform(tfx_component.Transform):
    """Needs `batch_size` (images) in its custom_config."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
