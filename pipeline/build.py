"""The one DAG.

ImageExampleGen -> StatisticsGen -> SchemaGen -> ReferenceSchema -> ExampleValidator -> DataCheck
-> (RetrainCheck ->) Transform -> (Tuner ->) Trainer -> Evaluator (beside ServingBaseline)
-> ServingValidator -> Pusher
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import tensorflow_data_validation as tfdv
from ml_metadata.proto import metadata_store_pb2
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.component import SchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2, transform_pb2

from components import features
from components.data_check.component import DataCheck
from components.evaluator.component import Evaluator
from components.image_example_gen.component import ImageExampleGen
from components.pusher.component import Pusher
from components.reference_schema.component import ReferenceSchema
from components.retrain_check.component import RetrainCheck
from components.retrain_check.executor import TRAINED_BY
from components.serving_baseline.component import ServingBaseline
from components.serving_validator.component import ServingValidator
from components.transform.component import Transform
from components.tuner.component import Tuner
from pipeline.config import PipelineConfig
from pipeline.digests import CONTRACT as _CONTRACT
from pipeline.digests import TRAINING, code_digest, file_digest, trained_by
from trainer.config import resolve_image_size

_LEARNT = "components.learnt_images"
_STORE = "components.store"
_REPORT = ("components.run_report.parts", "components.run_report.thumbnails")


@dataclass(frozen=True)
class Locations:
    """Where one run reads and writes."""

    data: str  # the user's images; may hold {SPAN} or a date
    model_dir: str  # versions of the model that serves
    artifacts: str  # TFX's pipeline root
    checkpoints: str  # what an interrupted training goes on from
    schema_file: str  # curated or accepted schema; "" where there is none
    schema_digest: str = ""  # of what is in it, for TFX's cache

    @property
    def pipeline_name(self) -> str:
        """Names the pipeline by where it writes: others in the same metadata store stay apart."""
        return f"effnet-{hashlib.sha256(self.artifacts.encode()).hexdigest()[:12]}"


def create_pipeline(
    config: PipelineConfig,
    locations: Locations,
    run_id: str,
    metadata: metadata_store_pb2.ConnectionConfig | None = None,
) -> Pipeline:
    """Wires the components for one run.

    Args:
        config: the effective configuration.
        locations: where the run reads and writes.
        run_id: recorded with a pushed model.
        metadata: ML Metadata's store; None where the orchestrator brings its own.
    """
    return Pipeline(
        pipeline_name=locations.pipeline_name,
        pipeline_root=locations.artifacts,
        components=_components(config, locations, run_id),
        enable_cache=True,
        metadata_connection_config=metadata,
        beam_pipeline_args=list(config.beam.arguments),
    )


def _components(config: PipelineConfig, locations: Locations, run_id: str) -> list[BaseNode]:
    baseline = ServingBaseline(
        model_dir=locations.model_dir,
        code_digest=code_digest("components.serving_baseline", _STORE, *_CONTRACT),
    )
    example_gen = ImageExampleGen(
        data_path=locations.data,
        data_config=config.data,
        splits_config=config.splits,
        code_digest=code_digest(
            "components.image_example_gen", _LEARNT, _STORE, *_REPORT, *_CONTRACT
        ),
    )
    statistics = StatisticsGen(
        examples=example_gen.outputs["examples"], stats_options=_statistics_options()
    )
    schema = SchemaGen(statistics=statistics.outputs["statistics"])
    checks = _check_data(config, locations, example_gen, statistics, schema, baseline)
    transform = _transform(config, example_gen, schema)
    if config.retrain.if_changed:
        checks.append(_retrain_check(config, locations, example_gen, statistics, baseline))
        checks[-1].add_upstream_node(checks[-2])
    transform.add_upstream_node(checks[-1])
    training = _Training(config, locations, transform, schema, baseline)
    tuner = training.tuner() if config.trainer.search.enabled else None
    trainer = training.trainer(tuner)
    evaluator = _evaluator(config, example_gen, trainer, baseline)
    check = _serving_check(config, run_id, example_gen, trainer, evaluator)
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=check.outputs["infra_blessing"] if check else None,
        schema=checks[0].outputs["reference"],
        baseline=baseline.outputs["baseline"],
        ingestion=example_gen.outputs["ingestion"],
        statistics=statistics.outputs["statistics"],
        evaluation=evaluator.outputs["evaluation"],
        model_run=trainer.outputs["model_run"],
        model_dir=locations.model_dir,
        name=config.serving.model_name,
        data=locations.data,
        model_card=config.serving.model_card,
        facts={
            "run_id": run_id,
            "splits": config.splits.model_dump_json(),
            TRAINED_BY: trained_by(config),
        },
        keep=config.serving.keep_versions,
        kubernetes=config.serving.kubernetes,
    )
    for node in (example_gen, evaluator):
        node.with_beam_pipeline_args(config.beam.at_home.get(node.id, ()))
    before = [example_gen, statistics, schema, baseline, *checks, transform]
    optional = [[tuner] if tuner else [], [check] if check else []]
    return [*before, *optional[0], trainer, evaluator, *optional[1], pusher]


def _statistics_options() -> tfdv.StatsOptions:
    """Declares the image as one, so that TFDV counts its bytes and doesn't read them as text."""
    schema = schema_pb2.Schema()
    image = schema.feature.add(name=features.IMAGE, type=schema_pb2.BYTES)
    image.image_domain.SetInParent()
    return tfdv.StatsOptions(schema=schema)


def _check_data(
    config: PipelineConfig,
    locations: Locations,
    example_gen: ImageExampleGen,
    statistics: StatisticsGen,
    schema: SchemaGen,
    baseline: ServingBaseline,
) -> list[BaseNode]:
    reference = ReferenceSchema(
        inferred=schema.outputs["schema"],
        ingestion=example_gen.outputs["ingestion"],
        baseline=baseline.outputs["baseline"],
        schema_file=locations.schema_file,
        schema_digest=locations.schema_digest,
        code_digest=code_digest("components.reference_schema", *_CONTRACT),
    )
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=reference.outputs["reference"]
    )
    data_check = DataCheck(
        ingestion=example_gen.outputs["ingestion"],
        schema=reference.outputs["reference"],
        anomalies=validator.outputs["anomalies"],
        statistics=statistics.outputs["statistics"],
        settings=config.data_schema,
        code_digest=code_digest("components.data_check", *_CONTRACT),
    )
    return [reference, validator, data_check]


def _retrain_check(
    config: PipelineConfig,
    locations: Locations,
    example_gen: ImageExampleGen,
    statistics: StatisticsGen,
    baseline: ServingBaseline,
) -> RetrainCheck:
    return RetrainCheck(
        ingestion=example_gen.outputs["ingestion"],
        statistics=statistics.outputs["statistics"],
        baseline=baseline.outputs["baseline"],
        config=config.retrain,
        trained_by=trained_by(config),
        model_dir=locations.model_dir,
        code_digest=code_digest(
            "components.retrain_check", "components.serving_baseline", _LEARNT, *_CONTRACT
        ),
    )


def _transform(
    config: PipelineConfig, example_gen: ImageExampleGen, schema: SchemaGen
) -> Transform:
    return Transform(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="trainer.preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(
            analyze=[features.TRAIN], transform=[features.TRAIN, features.VAL]
        ),
        # Statistics of pixels tell nothing, and the raw examples have theirs.
        disable_statistics=True,
        custom_config={
            "transform_config": config.transform.model_dump_json(),
            "image_size": resolve_image_size(config.transform, config.trainer),
            "batch_size": config.transform.batch_size,
            "code_digest": code_digest("trainer.preprocessing", "components.transform", *_CONTRACT),
        },
    )


@dataclass(frozen=True)
class _Training:
    """What Tuner and Trainer share."""

    config: PipelineConfig
    locations: Locations
    transform: Transform
    schema: SchemaGen
    baseline: ServingBaseline

    def tuner(self) -> Tuner:
        return Tuner(tuner_fn="trainer.family_search.tuner_fn", **self._inputs())

    def trainer(self, tuner: Tuner | None) -> Trainer:
        chosen = tuner.outputs["best_hyperparameters"] if tuner else None
        return Trainer(run_fn="trainer.run.run_fn", hyperparameters=chosen, **self._inputs())

    def _inputs(self) -> dict[str, Any]:
        config = self.config
        warm = config.trainer.warm_start == "serving"
        return {
            "examples": self.transform.outputs["transformed_examples"],
            "transform_graph": self.transform.outputs["transform_graph"],
            "schema": self.schema.outputs["schema"],
            # An input only where it is used: each push changes it.
            "base_model": self.baseline.outputs["baseline"] if warm else None,
            "train_args": trainer_pb2.TrainArgs(splits=[features.TRAIN]),
            "eval_args": trainer_pb2.EvalArgs(splits=[features.VAL]),
            "custom_config": {
                "train_config": config.trainer.model_dump_json(),
                "transform_config": config.transform.model_dump_json(),
                "checkpoints": self.locations.checkpoints,
                "weights_digest": file_digest(config.trainer.weights),
                "code_digest": code_digest(*TRAINING),
            },
        }


def _evaluator(
    config: PipelineConfig,
    example_gen: ImageExampleGen,
    trainer: Trainer,
    baseline: ServingBaseline,
) -> Evaluator:
    return Evaluator(
        examples=example_gen.outputs["examples"],
        example_splits=[features.TEST],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["baseline"],
        gate_config=config.gate,
        code_digest=code_digest(
            "components.evaluator",
            "components.run_report.label_issues",
            "components.serving_baseline",
            _LEARNT,
            *_REPORT,
            *_CONTRACT,
        ),
    )


def _serving_check(
    config: PipelineConfig,
    run_id: str,
    example_gen: ImageExampleGen,
    trainer: Trainer,
    evaluator: Evaluator,
) -> ServingValidator | None:
    if not config.serving.check.enabled:
        return None
    return ServingValidator(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        examples=example_gen.outputs["examples"],
        check_config=config.serving.check,
        run_id=run_id,
    )
