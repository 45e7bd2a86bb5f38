"""Where the data nodes compute: on this machine, on Flink or Spark, or on Dataflow."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from components.settings import Settings, nearest

RUNNERS = ("local", "flink", "spark", "dataflow")
DATA_NODES = ("ImageExampleGen", "StatisticsGen", "Transform", "Evaluator")
# Those of them that are TFX's own, which read and write addresses of Google Cloud Storage as they
# are. The others work on folders, which Dataflow's machines can't mount.
_ON_DATAFLOW = ("StatisticsGen", "Transform")
AT_ADDRESS = "address"

_ENDPOINT = r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[0-9]{1,5}$"
_SECRET = re.compile(r"password|secret|token|credential")
# What TFX adds otherwise is a package of itself, built anew at every node; workers have an image.
_NO_IMAGE = "--sdk_container_image=none"
# Named, since Beam's DirectRunner first tries to download another runner.
_LOCAL = ("--runner=FnApiRunner", _NO_IMAGE)


class JobServerConfig(Settings):
    """A Flink or Spark cluster behind Beam's job server."""

    endpoint: str = Field(
        pattern=_ENDPOINT,
        description="HOST:PORT of Beam's Flink or Spark job server, e.g. jobs:8099",
    )
    artifact_endpoint: str | None = Field(
        None, pattern=_ENDPOINT, description="HOST:PORT; null: the one that the job server names"
    )
    worker_pool: str = Field(
        "localhost:50000",
        pattern=_ENDPOINT,
        description="HOST:PORT, as each of the cluster's workers sees it, of a container with the "
        "project's image that runs python -m apache_beam.runners.worker.worker_pool_main",
    )
    shared: str = Field(
        pattern=r"^/.+",
        description="a folder on a volume that the tasks and the worker pools mount at the same "
        "path, for what they hand over to each other; a task's own disk is not seen by workers",
    )


class DataflowConfig(Settings):
    """A Google Cloud project that runs Dataflow jobs: of StatisticsGen and Transform.

    Ingestion and evaluation stay in their tasks, as artifacts are in gs:// for Dataflow.
    """

    project: str = Field(
        pattern=r"^[a-z0-9.:-]*[a-z][a-z0-9-]{4,28}[a-z0-9]$", description="the project's id"
    )
    region: str = Field(pattern=r"^[a-z]+-[a-z]+[0-9]$", description="e.g. europe-west4")
    temp_location: str = Field(pattern=r"^gs://[^/]+", description="gs://... for temporary files")
    image: str = Field(
        min_length=1, description="the project's image, in a registry that the workers reach"
    )
    machine_type: str | None = Field(None, description="of the workers; null: Dataflow's choice")
    service_account: str | None = Field(None, description="e-mail that the workers run as")
    subnetwork: str | None = Field(None, description="regions/REGION/subnetworks/NAME")
    public_ips: bool = Field(True, description="false: workers have private addresses only")

    def arguments(self) -> tuple[str, ...]:
        """Returns Beam's pipeline arguments, but for the number of workers."""
        optional = {
            "worker_machine_type": self.machine_type,
            "service_account_email": self.service_account,
            "subnetwork": self.subnetwork,
        }
        return (
            "--runner=DataflowRunner",
            f"--project={self.project}",
            f"--region={self.region}",
            f"--temp_location={self.temp_location}",
            f"--sdk_container_image={self.image}",
            # The image has the project: nothing is fetched while workers start.
            "--sdk_location=container",
            "--experiments=use_runner_v2",
            *(f"--{name}={value}" for name, value in optional.items() if value),
            *(() if self.public_ips else ("--no_use_public_ips",)),
        )


class BeamConfig(Settings):
    """How the data nodes run: ingestion, statistics, Transform, evaluation, batch scoring."""

    runner: str = Field(
        "local",
        description=f"one of {', '.join(RUNNERS)}, or another of Beam's runners by its class, e.g. "
        "apache_beam.runners.dask.dask_runner.DaskRunner, with its own extra_arguments",
    )
    workers: int = Field(
        1,
        ge=1,
        le=1000,
        description="local: processes (each imports TensorFlow and holds a model where one is "
        "used); flink: parallelism; spark: not used, its cluster decides; dataflow: at most as "
        "many machines",
    )
    job_server: JobServerConfig | None = Field(
        None, description="needed by flink and spark: endpoint, shared and the like"
    )
    dataflow: DataflowConfig | None = Field(
        None, description="needed by dataflow: project, region, temp_location, image and the like"
    )
    extra_arguments: tuple[str, ...] = Field(
        (), description="further pipeline arguments of Apache Beam, each as --name=value"
    )

    @field_validator("runner")
    @classmethod
    def _known_runner(cls, value: str) -> str:
        return value if "." in value else nearest(value, RUNNERS, "Beam runner")

    @model_validator(mode="after")
    def _extra_arguments_are_allowed(self) -> Self:
        # Not by the field's own check, whose message shows what was received.
        for argument in self.extra_arguments:
            name = argument.partition("=")[0]
            if _SECRET.search(name):
                raise ValueError(
                    f"extra_arguments: {name} looks like a secret, and these arguments are in the "
                    "log and in a compiled package: give it by the environment"
                )
            if not re.fullmatch(r"--[a-z][a-z0-9_]*", name):
                raise ValueError(
                    f"extra_arguments: an argument reads --name=value (received: '{name}')"
                )
            if name in _OWNED:
                raise ValueError(
                    f"extra_arguments: {name} is not allowed here: beam.{_OWNED[name]} sets it"
                )
        return self

    @model_validator(mode="after")
    def _has_what_its_runner_needs(self) -> Self:
        needed = {"flink": "job_server", "spark": "job_server", "dataflow": "dataflow"}
        for section in ("job_server", "dataflow"):
            given = getattr(self, section) is not None
            if given and needed.get(self.runner) != section:
                users = " and ".join(name for name in RUNNERS if needed.get(name) == section)
                raise ValueError(f"{section} is used by {users} only, and runner is {self.runner}")
            if not given and needed.get(self.runner) == section:
                keys = [name for name, field in _SECTIONS[section].items() if field.is_required()]
                raise ValueError(f"{self.runner} needs {section} with {', '.join(keys)}")
        return self

    @property
    def arguments(self) -> tuple[str, ...]:
        """Beam's pipeline arguments, the same for every node but those of `at_home`."""
        return (*self._runner_arguments(), *self.extra_arguments)

    @property
    def at_home(self) -> dict[str, tuple[str, ...]]:
        """Further arguments of nodes that compute in their own task, wherever others do."""
        if self.dataflow is None:
            return {}
        return {node: _LOCAL for node in DATA_NODES if node not in _ON_DATAFLOW}

    @property
    def handover(self) -> dict[str, str]:
        """Where a node finds its artifacts, if not on its task's disk: a folder, or AT_ADDRESS."""
        if self.job_server:
            return dict.fromkeys(DATA_NODES, self.job_server.shared)
        return dict.fromkeys(_ON_DATAFLOW, AT_ADDRESS) if self.dataflow else {}

    def _runner_arguments(self) -> tuple[str, ...]:
        if self.dataflow:
            return (*self.dataflow.arguments(), f"--max_num_workers={self.workers}")
        if self.job_server:
            return self._job_server_arguments(self.job_server)
        if "." in self.runner:
            return (f"--runner={self.runner}", _NO_IMAGE)
        processes: tuple[str, ...] = (
            "--direct_running_mode=multi_processing",
            f"--direct_num_workers={self.workers}",
        )
        return (*_LOCAL, *(processes if self.workers > 1 else ()))

    def _job_server_arguments(self, server: JobServerConfig) -> tuple[str, ...]:
        staging = server.artifact_endpoint
        parallelism = (f"--parallelism={self.workers}",) if self.runner == "flink" else ()
        return (
            "--runner=PortableRunner",
            f"--job_endpoint={server.endpoint}",
            *((f"--artifact_endpoint={staging}",) if staging else ()),
            "--environment_type=EXTERNAL",
            f"--environment_config={server.worker_pool}",
            _NO_IMAGE,
            *parallelism,
        )


_SECTIONS = {
    "job_server": JobServerConfig.model_fields,
    "dataflow": DataflowConfig.model_fields,
}
_OWNED: dict[str, Literal["runner", "workers", "job_server", "dataflow"]] = {
    "--runner": "runner",
    "--direct_running_mode": "workers",
    "--direct_num_workers": "workers",
    "--parallelism": "workers",
    "--max_num_workers": "workers",
    "--job_endpoint": "job_server",
    "--artifact_endpoint": "job_server",
    "--environment_type": "job_server",
    "--environment_config": "job_server",
    "--project": "dataflow",
    "--region": "dataflow",
    "--temp_location": "dataflow",
    "--sdk_container_image": "dataflow",
}
