"""Pusher: TFX's, with an atomic push and the schema kept beside the model."""

from typing import Any, ClassVar

from tfx import types
from tfx.components.pusher import component as tfx_component
from tfx.dsl.components.base import executor_spec
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.types.experimental import simple_artifacts
from tfx.utils import json_utils

from components.pusher import card, executor, kept
from components.pusher.kubernetes_config import KubernetesConfig
from components.run_report.card_config import CardConfig


class PusherSpec(standard_component_specs.PusherSpec):
    """TFX's, the schema, how and against what the model was judged, the cluster that serves it."""

    PARAMETERS: ClassVar = {
        **standard_component_specs.PusherSpec.PARAMETERS,
        executor.KUBERNETES: ExecutionParameter(type=str),
    }
    INPUTS: ClassVar = {
        **standard_component_specs.PusherSpec.INPUTS,
        executor.SCHEMA: ChannelParameter(type=standard_artifacts.Schema),
        kept.BASELINE: ChannelParameter(type=standard_artifacts.Model),
        kept.INGESTION: ChannelParameter(type=simple_artifacts.File),
        kept.STATISTICS: ChannelParameter(type=standard_artifacts.ExampleStatistics),
        card.EVALUATION: ChannelParameter(type=standard_artifacts.ModelEvaluation),
        card.MODEL_RUN: ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Pusher(tfx_component.Pusher):
    """Publishes a blessed model to a folder of numbered versions, or to a bucket."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        infra_blessing: types.BaseChannel | None,
        schema: types.BaseChannel,
        baseline: types.BaseChannel,
        ingestion: types.BaseChannel,
        statistics: types.BaseChannel,
        evaluation: types.BaseChannel,
        model_run: types.BaseChannel,
        model_dir: str,
        name: str,
        data: str,
        model_card: CardConfig,
        facts: dict[str, Any],
        keep: int | None = None,
        kubernetes: KubernetesConfig | None = None,
    ):
        """Describes a push.

        Args:
            model: channel of one Model.
            model_blessing: channel of one ModelBlessing; without it nothing is pushed.
            infra_blessing: channel of one InfraBlessing, which is needed as well; None where the
                check on a server is off.
            schema: channel of one Schema, kept with the version.
            baseline: channel of one Model, of ServingBaseline: what the model was judged against.
                Nothing is pushed if another version serves by now.
            ingestion: channel of one File, by ImageExampleGen: what the model has learnt from is
                kept with the version.
            statistics: channel of one ExampleStatistics; those of train are kept likewise.
            evaluation: channel of one ModelEvaluation, whose metrics are recorded with the version.
            model_run: channel of one ModelRun, with what the Trainer left for the model's card.
            model_dir: folder of the model's versions, or its address on S3 or GCS.
            name: of the model, for its card.
            data: where its images are from, for its card.
            model_card: what people say of the model.
            facts: JSON values, recorded with the version. The run's id among them keeps the push
                from ever being answered from the cache, since what serves may have changed
                meanwhile.
            keep: how many versions stay once a pushed one is live, at least 2; None: all of them.
            kubernetes: the InferenceService that then serves the version; None: there is none.
        """
        destination = pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=model_dir)
        )
        told = {
            card.NAME: name,
            card.DATA: card.without_secrets(data),
            card.WORDS: model_card.model_dump(mode="json"),
        }
        spec = PusherSpec(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            schema=schema,
            baseline=baseline,
            ingestion=ingestion,
            statistics=statistics,
            evaluation=evaluation,
            model_run=model_run,
            push_destination=destination,
            custom_config=json_utils.dumps(
                {executor.FACTS: facts, executor.KEEP: keep, executor.CARD: told}
            ),
            kubernetes="" if kubernetes is None else kubernetes.model_dump_json(),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        # Past TFX's own constructor, which knows no schema.
        super(tfx_component.Pusher, self).__init__(spec=spec)
