"""Settings of the InferenceService that is pointed at each pushed version."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from components.settings import Settings

_VERSION = "{version}"
_SCHEMES = ("pvc", "gs", "s3", "hdfs", "webhdfs", "https", "http", "hf", "oci")


class KubernetesConfig(Settings):
    """Which InferenceService serves, and how it goes over to a new version."""

    namespace: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", description="of the InferenceService"
    )
    service_name: str = Field(
        pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$",
        description="the InferenceService; it is created if it isn't there, and afterwards only "
        "its storageUri and canaryTrafficPercent are changed",
    )
    storage_uri: str = Field(
        description="where the cluster sees a pushed version, e.g. "
        "pvc://models/serving/classifier/{version} or gs://bucket/serving/classifier/{version}"
    )
    model_format: str = Field("tensorflow", description="modelFormat of a service that is created")
    runtime: str | None = Field(
        "effnet-tensorflow-serving",
        description="ServingRuntime of a service that is created: one that reads the folder of a "
        "single version, as kubeflow/serving has it (kserve-tensorflow-serving wants the folder "
        "above); null lets KServe choose",
    )
    steps: tuple[int, ...] = Field(
        (100,),
        description="percent of the requests that go to the new version, one step after another, "
        "e.g. [10, 50, 100]; a service in Standard (RawDeployment) mode can't split and goes to "
        "100 at once, with a warning",
    )
    step_seconds: float = Field(
        60, ge=0, description="how long a step before the last is watched before the next"
    )
    ready_seconds: float = Field(
        600, gt=0, description="how long each step may take to become ready; then it goes back"
    )
    context: str | None = Field(
        None,
        description="context of the kubeconfig; null: within a pod its service account (unless "
        "KUBECONFIG is set), else the current context",
    )

    @field_validator("storage_uri")
    @classmethod
    def _names_the_version(cls, value: str) -> str:
        scheme = value.partition("://")[0]
        if scheme not in _SCHEMES or "://" not in value:
            raise ValueError(f"it must begin with one of {', '.join(_SCHEMES)}, and then ://")
        if value.count(_VERSION) != 1 or re.search(r"[{}\s]", value.replace(_VERSION, "")):
            raise ValueError(
                f"it must hold {_VERSION} once and no other braces or blanks: a service whose "
                "address stays the same is not told of a new version"
            )
        if re.search(r"//[^/]*@", value):
            # The value itself must not reach a log, so it is not repeated here.
            raise ValueError("credentials belong to the service account's secret, not in the URI")
        return value

    @model_validator(mode="after")
    def _steps_end_at_all(self) -> Self:
        rising = all(low < high for low, high in zip(self.steps, self.steps[1:], strict=False))
        if not self.steps or self.steps[0] < 1 or self.steps[-1] != 100 or not rising:
            raise ValueError(
                f"steps must rise from at least 1 to 100 (received: {list(self.steps)}): what is "
                "pushed is what serves, so that later models are judged against it"
            )
        return self

    def uri(self, version: int) -> str:
        """Returns where the cluster sees a version.

        In a bucket KServe fetches whatever begins with the address: of version 1 the tenth, too,
        but for the slash.
        """
        uri = self.storage_uri.replace(_VERSION, str(version))
        in_bucket = uri.startswith(("s3://", "gs://"))
        return f"{uri}/" if in_bucket and self.storage_uri.endswith(_VERSION) else uri

    def __str__(self) -> str:
        """Names the service in messages."""
        return f"{self.namespace}/{self.service_name}"
