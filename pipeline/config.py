"""The whole configuration of a run: one YAML, read once, frozen."""

import os
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from components.data_check.config import SchemaConfig
from components.errors import ConfigError
from components.evaluator.config import GateConfig
from components.image_example_gen.config import DataConfig, SplitsConfig
from components.pusher.kubernetes_config import KubernetesConfig
from components.retrain_check.config import RetrainConfig
from components.run_report.card_config import CardConfig
from components.serving_validator.config import ServingCheckConfig
from components.settings import Settings
from pipeline.beam_config import BeamConfig
from pipeline.kubeflow_config import KubeflowConfig
from pipeline.notify_config import NotifyConfig
from trainer.config import TrainConfig, TransformConfig

METADATA_PASSWORD_VARIABLE = "EFFNET_METADATA_PASSWORD"


class MetadataConfig(Settings):
    """Where ML Metadata is kept."""

    url: str = Field(
        "sqlite",
        description="sqlite (a file in the output folder) or mysql://USER@HOST[:PORT]/DATABASE, "
        f"with the password in {METADATA_PASSWORD_VARIABLE}",
    )

    @field_validator("url")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value == "sqlite":
            return value
        url = urlsplit(value)
        if url.password is not None:
            # The value itself must not reach a log, so it is not repeated here.
            raise ValueError(f"put the password in {METADATA_PASSWORD_VARIABLE}, not in the url")
        _ = url.port  # raises ValueError where it is none
        if url.scheme != "mysql" or not (url.hostname and url.username and url.path.strip("/")):
            raise ValueError("allowed are sqlite and mysql://USER@HOST[:PORT]/DATABASE")
        return value

    def password(self) -> str | None:
        """Returns the database's password, which is in the environment only; None for SQLite.

        Raises:
            ConfigError: if it isn't there.
        """
        if self.url == "sqlite":
            return None
        password = os.environ.get(METADATA_PASSWORD_VARIABLE)
        if password is None:
            raise ConfigError(
                f"metadata.url is '{self.url}', and its password is expected in the environment "
                f"variable {METADATA_PASSWORD_VARIABLE}, which is not set"
            )
        return password


class ServingConfig(Settings):
    """What is pushed, and where."""

    model_name: str = Field(
        "classifier",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        description="models go to OUTPUT/serving/<model_name>/<version>",
    )
    keep_versions: int | None = Field(
        10,
        ge=2,
        description="after a push the oldest versions beyond this many are removed, but never the "
        "one that serves or the one that a rollback goes back to; null keeps all",
    )
    check: ServingCheckConfig = Field(
        ServingCheckConfig(), description="the candidate on a real model server, before the push"
    )
    model_card: CardConfig = Field(
        CardConfig(), description="what only people know of the model, for the card beside it"
    )
    kubernetes: KubernetesConfig | None = Field(
        None, description="the KServe InferenceService that serves each pushed version; null: none"
    )


class PipelineConfig(Settings):
    """Everything that a run depends on beside the data and the output folder."""

    data: DataConfig = Field(DataConfig(), description="where images come from")
    splits: SplitsConfig = Field(SplitsConfig(), description="used where the data has none")
    # 'schema' is a method of pydantic's base class, hence the alias.
    data_schema: SchemaConfig = Field(
        SchemaConfig(), alias="schema", description="the check of the data before training"
    )
    transform: TransformConfig = Field(TransformConfig(), description="image to pixels")
    trainer: TrainConfig = Field(TrainConfig(), description="backbone and fine-tuning")
    retrain: RetrainConfig = Field(RetrainConfig(), description="when a training pays")
    gate: GateConfig = Field(GateConfig(), description="what goes live")
    serving: ServingConfig = Field(ServingConfig(), description="what is pushed")
    metadata: MetadataConfig = Field(MetadataConfig(), description="ML Metadata")
    beam: BeamConfig = Field(BeamConfig(), description="Apache Beam: where the data nodes compute")
    kubeflow: KubeflowConfig = Field(
        KubeflowConfig(), description="on a cluster: see `effnet compile`"
    )
    notify: NotifyConfig = Field(NotifyConfig(), description="who is told of each verdict")
