"""What a Trainer's task imports, as its entrypoint does: to be imported once, and forked from."""

from pipeline.kfp import entrypoint

entrypoint.make_light("tfx.components")

import tfx.components.trainer.executor  # noqa: E402, F401

import trainer.run  # noqa: E402, F401
