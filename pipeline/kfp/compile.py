"""Compiles the pipeline for Kubeflow Pipelines or Vertex AI Pipelines.

TFX's runner does the work; what the backends don't take of it, `cures` changes.
"""

import copy
import json
from pathlib import Path
from typing import Any, Literal

import yaml
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.orchestration.pipeline import Pipeline

from pipeline.build import Locations, create_pipeline
from pipeline.config import PipelineConfig
from pipeline.files import write_atomically
from pipeline.kfp import cures, platform
from pipeline.kfp.parameters import run_parameters
from pipeline.layout import SCHEMA_FOLDER

Target = Literal["kfp", "vertex"]

ENTRYPOINT = ["python", "-m", "pipeline.kfp.entrypoint"]
FINISH = ["python", "-m", "pipeline.kfp.finish"]
# In place of the id that the entrypoint gives a run.
_NO_RUN = "set-by-the-entrypoint"


def compile_package(config: PipelineConfig, target: Target, file: Path) -> None:
    """Writes the pipeline as a package.

    Args:
        config: whose section `kubeflow` is complete (`pipeline.kfp.checks`).
        target: kfp: YAML of a PipelineSpec 2.1.0 and a platform spec; vertex: JSON of a
            PipelineJob with schema 2.0.0.
        file: is replaced.

    Raises:
        ConfigError: the target can't do what the configuration asks for.
    """
    package = vertex_package(config) if target == "vertex" else kfp_package(config)
    write_atomically(file, package)


def kfp_package(config: PipelineConfig) -> str:
    """Returns the package for open-source Kubeflow Pipelines."""
    spec = _compile(config, legacy=False)["pipelineSpec"]
    executors = spec["deploymentSpec"]["executors"]
    nodes = {label: label.removesuffix("_executor") for label in executors}
    for label, node in nodes.items():
        found = platform.resources(config.kubeflow.task_placement(node))
        if found:
            executors[label]["container"]["resources"] = found
    # The backend reads it from the run alone; whoever starts one finds it here.
    spec["defaultPipelineRoot"] = config.kubeflow.pipeline_root
    documents = [spec, platform.platform_spec(config.kubeflow, nodes)]
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True, width=10_000)


class _Dumper(yaml.SafeDumper):
    """Quotes texts that YAML 1.2, which the backend reads, would take for numbers, as 1e3."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = '"' if text[:1] in "+-.0123456789" and text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def ignore_aliases(self, data: Any) -> bool:
        """Writes what is the same twice, as people read it."""
        return True


_Dumper.add_representer(str, _Dumper.represent_text)


def vertex_package(config: PipelineConfig) -> str:
    """Returns the package for Vertex AI Pipelines.

    Raises:
        ConfigError: a placement asks for what Vertex AI doesn't have.
    """
    job = _compile(config, legacy=True)
    for label, executor in job["pipelineSpec"]["deploymentSpec"]["executors"].items():
        node = label.removesuffix("_executor")
        found = platform.vertex_resources(node, config.kubeflow.placement_of(node))
        if found:
            executor["container"]["resources"] = found
    defaults = {parameter.name: parameter.default for parameter in run_parameters(config)}
    dialect = cures.Dialect(legacy=True)
    values = {name: dialect.value(value) for name, value in defaults.items()}
    job["runtimeConfig"]["parameters"] = values
    return json.dumps(job, indent=1, sort_keys=True) + "\n"


def _compile(config: PipelineConfig, legacy: bool) -> dict[str, Any]:
    """Returns a PipelineJob as JSON."""
    kubeflow, dialect = config.kubeflow, cures.Dialect(legacy)
    pipeline = create_pipeline(config, locations(config), _NO_RUN)
    job = _by_tfx(pipeline, kubeflow.image, legacy)
    spec = job["pipelineSpec"]
    cures.use_known_types(spec, pipeline)
    cures.switch_caching_off(spec)
    cures.drop_digests(spec, dialect)
    cures.end_early(spec, dialect)
    cures.put_before_exit(spec)
    cures.add_exit(spec, kubeflow.image, FINISH)
    _set_retries(config, spec, "vertex" if legacy else "kfp")
    told = config.model_dump_json(by_alias=True)
    cures.add_parameters(spec, dialect, run_parameters(config), kubeflow.output, told)
    cures.add_handover(spec, dialect, config.beam.handover)
    if kubeflow.workers:
        cures.add_workers(spec, dialect, kubeflow.of_workers().model_dump_json())
    for label, executor in spec["deploymentSpec"]["executors"].items():
        placement = kubeflow.placement_of(label.removesuffix("_executor"))
        container = executor["container"]
        container["image"] = placement.image or kubeflow.image
        environment = sorted(placement.environment.items())
        if environment:
            container["env"] = [{"name": name, "value": value} for name, value in environment]
    return job


def _by_tfx(pipeline: Pipeline, image: str, legacy: bool) -> dict[str, Any]:
    settings = KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=ENTRYPOINT, use_pipeline_spec_2_1=not legacy
    )
    return copy.deepcopy(KubeflowV2DagRunner(settings).run(pipeline, write_out=False))


def locations(config: PipelineConfig) -> Locations:
    """Returns where a run on a cluster reads and writes."""
    output, model = config.kubeflow.output, config.serving.model_name
    # Workers prove to no object store who they are.
    kept = config.kubeflow.workers.shared if config.kubeflow.workers else output
    return Locations(
        data=config.kubeflow.data,
        model_dir=f"{output}/serving/{model}",
        artifacts=config.kubeflow.pipeline_root,
        checkpoints=f"{kept}/checkpoints",
        schema_file=config.data_schema.path or f"{output}/{SCHEMA_FOLDER}/{model}.pbtxt",
    )


def _set_retries(config: PipelineConfig, spec: dict[str, Any], target: Target) -> None:
    for node, task in cures.every_task(spec).items():
        policy = platform.retry_policy(config.kubeflow.placement_of(node), target)
        if policy:
            task["retryPolicy"] = policy
