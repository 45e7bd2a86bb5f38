"""`effnet compile`: checks what a package needs before anything slow is imported."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from components.errors import ConfigError, OutputError
from components.store import is_remote
from pipeline.cli_parts import ConfigOption, SetOption, errors_told
from pipeline.cluster_hardware import check_beam, check_hardware
from pipeline.config import PipelineConfig
from pipeline.kubeflow_config import EXIT_TASK, KubeflowConfig
from pipeline.notify_config import WEBHOOK_VARIABLE
from pipeline.options import effective_config
from pipeline.quiet_import import import_quietly
from pipeline.terminal import make_display
from trainer.config import WEIGHTS

Target = Literal["kfp", "vertex"]

_SUFFIXES = {"kfp": ".yaml", "vertex": ".json"}
_NEEDED = {
    "image": "the image that all tasks run in (--image)",
    "pipeline_root": "where artifacts go (--pipeline-root)",
    "data": "where the tasks find the images",
    "output": "where the tasks keep the serving directory and the runs",
}


def compile_pipeline(
    output: Annotated[
        Path,
        typer.Option(
            "--output", metavar="FILE", help="The package: .yaml for kfp, .json for vertex."
        ),
    ],
    target: Annotated[
        Target, typer.Option("--target", help="Kubeflow Pipelines 2.16 or newer, or Vertex AI.")
    ] = "kfp",
    image: Annotated[
        str | None, typer.Option("--image", metavar="IMAGE", help="Short for kubeflow.image.")
    ] = None,
    pipeline_root: Annotated[
        str | None,
        typer.Option("--pipeline-root", metavar="URI", help="Short for kubeflow.pipeline_root."),
    ] = None,
    config: ConfigOption = None,
    sets: SetOption = None,
) -> None:
    """Write the pipeline as a package for Kubeflow Pipelines or Vertex AI Pipelines."""
    with errors_told():
        given = {"image": image, "pipeline_root": pipeline_root}
        short = [f"kubeflow.{key}={json.dumps(value)}" for key, value in given.items() if value]
        compile_to(effective_config(config, [*(sets or ()), *short]), target, output)
        make_display(sys.stderr, verbose=False).note(f"wrote {output}")


def compile_to(config: PipelineConfig, target: Target, file: Path) -> None:
    """Writes the package.

    Raises:
        ConfigError: something is missing, or can't be had on the target.
        OutputError: the file can't be written.
    """
    check(config, target)
    if file.suffix != _SUFFIXES[target]:
        raise OutputError(
            f"--output '{file}': a package for {target} is a file that ends in {_SUFFIXES[target]}"
        )
    if not file.parent.is_dir():
        raise OutputError(f"--output '{file}': there is no folder '{file.parent}'; make it first")
    sys.argv[1:] = []  # which KServe parses when it is imported
    compiler = import_quietly("pipeline.kfp.compile")
    try:
        compiler.compile_package(config, target, file)
    except OSError as error:
        raise OutputError(f"--output '{file}' can't be written: {error.strerror}") from None


def check(config: PipelineConfig, target: Target) -> None:
    """Refuses what could not run on a cluster.

    Raises:
        ConfigError: naming all that is missing, or the first thing that can't be.
    """
    kubeflow = config.kubeflow
    missing = [
        f"kubeflow.{key}: {what}" for key, what in _NEEDED.items() if not getattr(kubeflow, key)
    ]
    if missing:
        raise ConfigError(f"a package for a cluster needs {'; '.join(missing)}")
    if target == "vertex":
        _check_vertex(kubeflow)
    _check_files(config)
    _check_webhook(config)
    check_hardware(config, target)
    check_beam(config)
    if importlib.util.find_spec("kfp") is None:
        raise ConfigError(
            "compiling needs Kubeflow's SDK, which is not installed: pip install 'effnet-tfx[kfp]'"
        )


def _check_vertex(kubeflow: KubeflowConfig) -> None:
    """Its machines mount nothing but Google Cloud Storage, and forget what else they write."""
    if not kubeflow.pipeline_root.startswith("gs://"):
        raise ConfigError(
            f"kubeflow.pipeline_root is '{kubeflow.pipeline_root}': Vertex AI keeps artifacts in "
            "gs://BUCKET/PATH"
        )
    for key in ("data", "output"):
        place = getattr(kubeflow, key)
        if not (is_remote(place) or place.startswith("/gcs/")):
            raise ConfigError(
                f"kubeflow.{key} is '{place}', but machines of Vertex AI mount no volumes: name "
                "gs://BUCKET/PATH, or /gcs/BUCKET/PATH, where they see the same"
            )
    for key in ("image_pull_secrets", "timeout_seconds"):
        if getattr(kubeflow, key):
            raise ConfigError(f"kubeflow.{key} can't be had on Vertex AI: leave it out")


def _check_webhook(config: PipelineConfig) -> None:
    """The last task tells the webhook, whose address is a secret of the cluster."""
    given = config.kubeflow.placement_of(EXIT_TASK).secret_env
    variables = [variable for secret in given for variable in secret.keys.values()]
    if config.notify.enabled and WEBHOOK_VARIABLE not in variables:
        raise ConfigError(
            f"notify.enabled is true, but the task '{EXIT_TASK}', which tells the webhook, would "
            f"have no {WEBHOOK_VARIABLE}: name the Secret with the address in "
            f"kubeflow.nodes.{EXIT_TASK}.secret_env (Vertex AI has none: leave out notify there)"
        )


def _check_files(config: PipelineConfig) -> None:
    """Files that settings name are read by tasks: their paths must mean something there."""
    weights, schema = config.trainer.weights, config.data_schema.path
    named = {
        "trainer.weights": None if weights in WEIGHTS else weights,
        # Which the task fetches, if it is an address.
        "schema.path": None if schema and is_remote(schema) else schema,
    }
    for key, path in named.items():
        if path and not path.startswith("/"):
            raise ConfigError(
                f"{key} is '{path}', but tasks run in the image, which has no such folder: give "
                "an absolute path in the image or on a mounted volume"
            )
