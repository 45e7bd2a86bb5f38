"""Settings of a run on a cluster: where it reads and writes, and where its tasks run."""

import posixpath
import re
from pathlib import PurePosixPath
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.settings import Settings, nearest
from pipeline.trainer_placement_config import TpuConfig, WorkersConfig

TRAINER = "Trainer"
NODES = (
    "ImageExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ServingBaseline",
    "ReferenceSchema",
    "ExampleValidator",
    "DataCheck",
    "RetrainCheck",
    "Transform",
    "Tuner",
    TRAINER,
    "Evaluator",
    "ServingValidator",
    "Pusher",
)
_ON_TPU = ("Tuner", TRAINER)
EXIT_TASK = "finish"  # writes the summary, whatever happened
ARTIFACT_SCHEMES = ("minio", "s3", "gs")
STORE_SCHEMES = ("s3", "gs")

# Of a placement: what the work itself needs.
_OF_WORK = (
    "cpu_request",
    "cpu_limit",
    "memory_request",
    "memory_limit",
    "node_selector",
    "tolerations",
)
_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"
_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_SECRET = re.compile(r"(?i)PASSW(OR)?D|SECRET|TOKEN|CREDENTIAL|COOKIE|WEBHOOK|(^|_)KEY$")
_WITH_PASSWORD = re.compile(r"://[^/@\s]*:[^/\s]*@")


class GpuConfig(Settings):
    """GPUs of one pod."""

    count: int = Field(1, ge=1, description="of one pod; the Trainer uses them all as one")
    resource: str = Field("nvidia.com/gpu", description="what the device plugin calls them")
    type: str | None = Field(
        None,
        description="as GKE labels its nodes, e.g. nvidia-tesla-t4; null: any, or as node_selector "
        "says",
    )


class TolerationConfig(Settings):
    """A taint that a pod puts up with, as Kubernetes names its parts."""

    key: str = Field("", description="of the taint; empty, with Exists: all")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="Equal compares value")
    value: str = Field("", description="of the taint")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        "", description="empty: every effect"
    )

    @model_validator(mode="after")
    def _compares_something(self) -> Self:
        if self.operator == "Exists" and self.value:
            raise ValueError("a toleration with a value needs operator: Equal")
        if self.operator == "Equal" and not self.key:
            raise ValueError("a toleration with operator Equal needs a key")
        return self


class VolumeConfig(Settings):
    """A PersistentVolumeClaim that is there, mounted."""

    claim: str = Field(pattern=_NAME, description="its name")
    path: str = Field(pattern=r"^/", description="where tasks see it")
    sub_path: str = Field("", description="folder of the volume; empty: all of it")


class SecretEnvConfig(Settings):
    """Entries of a Secret as environment variables."""

    secret: str = Field(pattern=_NAME, description="its name")
    keys: dict[str, str] = Field(min_length=1, description="variable by key of the secret")


class SecretVolumeConfig(Settings):
    """A Secret as a folder of files."""

    secret: str = Field(pattern=_NAME, description="its name")
    path: str = Field(pattern=r"^/", description="where tasks see it")


class PlacementConfig(Settings):
    """What one task needs, and where it may run."""

    image: str | None = Field(
        None, description="for this task alone, e.g. one with CUDA or JAX; null: kubeflow.image"
    )
    cpu_request: str | None = Field(None, pattern=_QUANTITY, description="e.g. 500m or 4")
    cpu_limit: str | None = Field(None, pattern=_QUANTITY, description="e.g. 8")
    memory_request: str | None = Field(None, pattern=_QUANTITY, description="e.g. 4Gi")
    memory_limit: str | None = Field(None, pattern=_QUANTITY, description="e.g. 16Gi")
    gpu: GpuConfig | None = Field(None, description="GPUs; null: none")
    tpu: TpuConfig | None = Field(None, description="a TPU slice of GKE; null: none")
    node_selector: dict[str, str] = Field({}, description="labels that the machine must have")
    tolerations: tuple[TolerationConfig, ...] = Field((), description="taints put up with")
    volumes: tuple[VolumeConfig, ...] = Field((), description="claims to mount")
    secret_env: tuple[SecretEnvConfig, ...] = Field((), description="secrets as variables")
    secret_volumes: tuple[SecretVolumeConfig, ...] = Field((), description="secrets as files")
    env: dict[str, str] = Field({}, description="variables that are no secret")
    retries: int | None = Field(
        None, ge=0, le=10, description="runs again after a failure; null: none"
    )
    retry_seconds: int | None = Field(
        None, ge=0, description="wait before the first of them, doubled each time; null: 60"
    )
    timeout_seconds: int | None = Field(None, ge=1, description="of each pod; null: none")

    @field_validator("env")
    @classmethod
    def _holds_no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        for name, content in value.items():
            if not re.match(_VARIABLE, name):
                raise ValueError(f"'{name}' is no name of an environment variable")
            # A path to a mounted file, as GOOGLE_APPLICATION_CREDENTIALS is, tells nothing.
            secret = _SECRET.search(name) and not content.startswith("/")
            if secret or _WITH_PASSWORD.search(content):
                raise ValueError(
                    f"'{name}' looks like a secret, and many can read a compiled package: put it "
                    "in a Kubernetes Secret and name that in secret_env"
                )
        return value

    @model_validator(mode="after")
    def _has_one_accelerator(self) -> Self:
        if self.gpu and self.tpu:
            raise ValueError("a task runs on gpu or on tpu, not on both: a pod has one of them")
        return self

    @property
    def node_labels(self) -> dict[str, str]:
        """The labels that the machine must have, GKE's of GPU and TPU among them."""
        found = dict(self.node_selector)
        if self.gpu and self.gpu.type:
            found["cloud.google.com/gke-accelerator"] = self.gpu.type
        return {**found, **(self.tpu.labels if self.tpu else {})}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that are no secret; with a TPU, those that make its absence an error."""
        return {**({"JAX_PLATFORMS": "tpu,cpu"} if self.tpu else {}), **self.env}

    @property
    def shares_memory(self) -> bool:
        """Whether GPUs hand gradients over in /dev/shm, of which containers have 64 MB."""
        return self.gpu is not None and self.gpu.count > 1

    def over(self, default: Self) -> Self:
        """Returns a task's own settings over those of all: lists and mappings add up."""
        values: dict[str, Any] = {}
        for name in type(self).model_fields:
            own, common = getattr(self, name), getattr(default, name)
            if isinstance(own, dict):
                values[name] = {**common, **own}
            elif isinstance(own, tuple):
                values[name] = (*common, *(item for item in own if item not in common))
            else:
                values[name] = own if name in self.model_fields_set else common
        if self.tpu or self.gpu:  # of which the default may have the other one
            values["gpu"], values["tpu"] = self.gpu, self.tpu
        return type(self)(**values)


class KubeflowConfig(Settings):
    """The pipeline on Kubeflow Pipelines or Vertex AI."""

    image: str = Field("", description="that all tasks run in, e.g. registry/effnet:1.4")
    pipeline_root: str = Field(
        "", description="where artifacts go: minio://, s3:// or gs:// BUCKET/PATH"
    )
    data: str = Field(
        "", description="images as the tasks see them: a path on a mounted volume; may hold {SPAN}"
    )
    output: str = Field(
        "",
        description="serving directory, runs and checkpoints: a folder on a mounted volume, "
        "s3://bucket/... or gs://bucket/...",
    )
    image_pull_secrets: tuple[str, ...] = Field((), description="names of Secrets for the registry")
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = Field(
        "", description="empty: the cluster's rule"
    )
    placement: PlacementConfig = Field(PlacementConfig(), description="of all tasks")
    nodes: dict[str, PlacementConfig] = Field(
        {},
        description="of one task each, over placement, e.g. {Trainer: {gpu: {count: 1}}}; lists "
        "and mappings add up, a single value replaces",
    )
    workers: WorkersConfig | None = Field(
        None, description="have several pods train as one; null: the Trainer's own trains"
    )
    timeout_seconds: int | None = Field(
        None, ge=1, description="of a whole run, waiting for machines included; null: none"
    )

    @field_validator("nodes", mode="before")
    @classmethod
    def _known_nodes(cls, value: Any) -> Any:
        for name in value if isinstance(value, dict) else ():
            nearest(name, (*NODES, EXIT_TASK), "node")
        return value

    @field_validator("pipeline_root")
    @classmethod
    def _known_root(cls, value: str) -> str:
        return _address(value, ARTIFACT_SCHEMES, local=False)

    @field_validator("output")
    @classmethod
    def _known_output(cls, value: str) -> str:
        return _address(value, STORE_SCHEMES, local=True)

    @field_validator("data")
    @classmethod
    def _known_data(cls, value: str) -> str:
        return _address(value, STORE_SCHEMES, local=True)

    @model_validator(mode="after")
    def _trains_where_it_can(self) -> Self:
        for node in NODES:
            if self.placement_of(node).tpu and node not in _ON_TPU:
                raise ValueError(f"{node} computes on no TPU: {' and '.join(_ON_TPU)} do")
        if self.workers is None:
            return self
        trainer = self.placement_of(TRAINER)
        if trainer.tpu:
            raise ValueError(
                "workers: several train by TensorFlow, which has no TPU: leave out one"
            )
        shared = PurePosixPath(posixpath.normpath(self.workers.shared))
        if not any(shared.is_relative_to(volume.path) for volume in trainer.volumes):
            paths = ", ".join(volume.path for volume in trainer.volumes) or "none"
            raise ValueError(
                f"workers.shared is '{shared}', which lies on no volume of the Trainer (they are "
                f"at: {paths}): name a folder on a ReadWriteMany volume"
            )
        return self

    def placement_of(self, node: str) -> PlacementConfig:
        """Returns what a node's work needs: its own settings over those of all."""
        own = self.nodes.get(node)
        return self.placement if own is None else own.over(self.placement)

    def of_workers(self) -> Self:
        """Returns what the workers' pods are made by: `placement` is the Trainer's there."""
        return type(self)(
            image=self.image,
            image_pull_secrets=self.image_pull_secrets,
            image_pull_policy=self.image_pull_policy,
            placement=self.placement_of(TRAINER),
            workers=self.workers,
        )

    def task_placement(self, node: str) -> PlacementConfig:
        """Returns what a task's own pod needs: the Trainer's may have others work."""
        placement = self.placement_of(node)
        if node != TRAINER or self.workers is None:
            return placement
        common = {name: getattr(self.placement, name) for name in _OF_WORK}
        return placement.model_copy(update={**common, "gpu": None, "tpu": None})


def _address(value: str, schemes: tuple[str, ...], local: bool) -> str:
    """Checks an address; empty ones are told when they are needed.

    Raises:
        ValueError: naming what is allowed.
    """
    scheme, separator, rest = value.partition("://")
    if separator and "@" in rest.partition("/")[0]:
        # The value itself must not reach a log, so it is not repeated here.
        raise ValueError("credentials belong in a Kubernetes Secret, not in an address")
    known = scheme in schemes and rest.strip("/") if separator else local and value[:1] == "/"
    if value and not known:
        allowed = [f"{scheme}://BUCKET/PATH" for scheme in schemes]
        allowed += ["an absolute path on a mounted volume"] * local
        raise ValueError(f"it must be {' or '.join(allowed)}")
    return value.rstrip("/") if value != "/" else value
