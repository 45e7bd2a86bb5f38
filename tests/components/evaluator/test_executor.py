"""The real Evaluator on exported models: a sound one passes, each damaged one is refused."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils, proto_utils

from components import features, learnt_images, run_events
from components.evaluator import executor
from components.evaluator.config import GateConfig
from components.evaluator.executor import GATE_CONFIG, Executor
from components.evaluator.measured import OVERALL, eval_config, read_metrics
from components.evaluator.verdict import FILE, Verdict
from components.image_example_gen.checks import content_hash
from components.model_versions import model_digest
from components.run_report.parts import FOLDER, EvaluationPart
from components.serving_baseline.executor import DIGEST_PROPERTY, VERSION_PROPERTY
from trainer.config import StageConfig, TrainConfig
from trainer.input_pipeline import index_examples
from trainer.signatures import ServingModule, export
from trainer.task import Data
from trainer.training import train

CLASSES = ("blue", "green", "red")
SIZE = 48
GATE = {
    "rules": [
        {"metric": "accuracy", "min": 0.8},
        {"metric": "recall", "class": "red", "min": 0.6},
        {"metric": "log_loss", "max": 0.6},
        {"metric": "accuracy", "max_decline": 0.05, "slice": {"shop": "*"}},
    ]
}


def pixels(label: str, seed: int) -> np.ndarray:
    """Noise with one channel brighter."""
    found = np.random.default_rng(seed).integers(0, 150, (SIZE, SIZE, 3))
    found[..., ("red", "green", "blue").index(label)] += 90
    return found.astype(np.uint8)


def bytes_feature(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def write_records(path: Path, count: int, seed: int, make: Callable[[str, int], dict]) -> Path:
    path.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path / "part-0")) as writer:
        for number in range(count):
            label = CLASSES[number % len(CLASSES)]
            feature = {features.ID: bytes_feature(f"{seed + number}".encode())}
            feature |= make(label, seed + number)
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    return path


def transformed(label: str, seed: int) -> dict[str, tf.train.Feature]:
    index = tf.train.Int64List(value=[CLASSES.index(label)])
    return {
        features.PIXELS: bytes_feature(pixels(label, seed).tobytes()),
        features.LABEL_ID: tf.train.Feature(int64_list=index),
    }


def raw(label: str, seed: int) -> dict[str, tf.train.Feature]:
    png = tf.io.encode_png(pixels(label, seed)).numpy()
    return {
        features.IMAGE: bytes_feature(png),
        features.CONTENT_HASH: bytes_feature(content_hash(png).encode()),
        features.LABEL: bytes_feature(label.encode()),
        "shop": bytes_feature(b"ab"[seed % 2 : seed % 2 + 1]),
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> SimpleNamespace:
    """A network that its training calls good, and test images."""
    folder = tmp_path_factory.mktemp("evaluator")
    splits = [
        index_examples([str(write_records(folder / name, count, seed, transformed) / "*")], name)
        for name, count, seed in ((features.TRAIN, 48, 100), (features.VAL, 12, 200))
    ]
    config = TrainConfig(
        stages=(StageConfig(train="head", epochs=8, learning_rate=0.01),), image_size=SIZE
    )
    found = train(Data(list(CLASSES), *splits), config)
    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    examples.split_names = artifact_utils.encode_split_names([features.TEST])
    test = write_records(folder / "examples" / "Split-test", 30, 300, raw)
    records = tf.data.TFRecordDataset(str(test / "part-0")).as_numpy_iterator()
    found_features = [tf.train.Example.FromString(record).features.feature for record in records]
    return SimpleNamespace(
        network=found.classifier.network,
        val_accuracy=found.results[-1].epochs[-1].val.accuracy,
        examples=examples,
        contents=[
            feature[features.CONTENT_HASH].bytes_list.value[0].decode()
            for feature in found_features
        ],
    )


@pytest.fixture
def evaluate(trained, tmp_path):
    """Exports a candidate, and runs the Evaluator on it."""

    def artifact(kind: type, name: str):
        made = kind()
        made.uri = str(tmp_path / name)
        Path(made.uri).mkdir(exist_ok=True)
        return made

    def model(network: Callable, labels=CLASSES, name: str = "model"):
        made = artifact(standard_artifacts.Model, name)
        path = Path(made.uri) / "Format-Serving"
        export(ServingModule(network, labels, SIZE, "squash"), str(path))
        (path / features.EXTRA).mkdir()
        facts = json.dumps({"classes": CLASSES})
        (path / features.EXTRA / features.TRAINING_FILE).write_text(facts)
        return made

    def run(network: Callable, labels=CLASSES, baseline: Callable | None = None) -> SimpleNamespace:
        serving = artifact(standard_artifacts.Model, "baseline")
        if baseline is not None:
            serving = model(baseline, name="baseline")
            serving.set_int_custom_property(VERSION_PROPERTY, 1)
            digest = model_digest(Path(serving.uri) / "Format-Serving")
            serving.set_string_custom_property(DIGEST_PROPERTY, digest)
            learnt = learnt_images.learnt_images([(seen, "blue") for seen in trained.contents[:4]])
            extra = Path(serving.uri) / "Format-Serving" / features.EXTRA
            (extra / learnt_images.FILE).write_bytes(learnt_images.to_bytes(learnt))
        evaluation = artifact(standard_artifacts.ModelEvaluation, "evaluation")
        blessing = artifact(standard_artifacts.ModelBlessing, "blessing")
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=["--runner=FnApiRunner", "--sdk_container_image=none"],
            tmp_dir=str(tmp_path / "tmp"),
        )
        Executor(context).Do(
            {
                "examples": [trained.examples],
                "model": [model(network, labels)],
                "baseline_model": [serving],
            },
            {"evaluation": [evaluation], "blessing": [blessing]},
            {
                "eval_config": proto_utils.proto_to_json(eval_config(GateConfig.parse(GATE))),
                "example_splits": json_utils.dumps([features.TEST]),
                GATE_CONFIG: GateConfig.parse(GATE).model_dump_json(),
            },
        )
        part = Path(evaluation.uri) / FOLDER / EvaluationPart.file()
        return SimpleNamespace(
            blessed=blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY),
            verdict=Verdict.read((Path(evaluation.uri) / FILE).read_text()),
            uri=evaluation.uri,
            part=EvaluationPart.parse(part.read_text() if part.is_file() else None),
        )

    return run


class Changed:
    """A network with something done to what goes in or comes out."""

    def __init__(self, network: keras.Model, before=lambda x: x, after=lambda x: x) -> None:
        self._network, self._before, self._after = network, before, after
        self.input, self.weights = network.input, network.weights

    def __call__(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        return self._after(self._network(self._before(images), training=training))


def failed(verdict: Verdict) -> set[str]:
    return {rule.metric for rule in verdict.rules if not rule.passed}


def test_a_sound_model_is_blessed_beside_one_that_serves(trained, evaluate):
    """TFMA and the rules find the same, on answers of the same signature."""
    worse = Changed(trained.network, after=lambda logits: logits * [1.0, 1.0, 0.0] - [0, 0, 9.0])
    found = evaluate(trained.network, baseline=worse)
    assert found.blessed
    assert found.verdict.passed
    candidate, baseline = read_metrics(found.uri)
    comparison = found.verdict.comparison
    assert comparison.images == candidate[OVERALL]["examples"] == 30
    assert comparison.candidate == pytest.approx(candidate[OVERALL]["accuracy"])
    assert comparison.baseline == pytest.approx(baseline[OVERALL]["accuracy"])
    assert comparison.baseline < comparison.candidate
    (losses,) = [rule for rule in found.verdict.rules if rule.metric == "log_loss"]
    assert losses.value == pytest.approx(candidate[OVERALL]["log_loss"], rel=1e-4)
    assert [rule.slice for rule in found.verdict.rules[-2:]] == ["shop=a", "shop=b"]
    assert found.verdict.rules[-1].examples == 15
    assert (("shop", "a"),) in candidate
    assert found.verdict.seen == 4
    assert comparison.unseen.images == 26
    assert found.part.accuracy == pytest.approx(comparison.candidate)
    shown = (*found.part.mistakes, *found.part.hesitant, *found.part.explained)
    assert len(found.part.hesitant) == 12
    assert all(size_of(answer.image.jpeg) == (SIZE, SIZE) for answer in shown)
    assert {answer.image.label for answer in found.part.explained[-4:]} == set(CLASSES)
    for answer in found.part.explained:
        assert size_of(answer.activation) == (SIZE, SIZE)
        assert answer.activation != answer.image.jpeg


def size_of(jpeg: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(jpeg))) as image:
        return image.size


def noised(network: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(network)
    rng = np.random.default_rng(0)
    copy.set_weights(
        [value + rng.normal(0, value.std() + 1e-3, value.shape) for value in network.get_weights()]
    )
    return copy


@pytest.mark.parametrize(
    ("damage", "caught_by"),
    [
        (noised, "accuracy"),
        (
            lambda network: Changed(network, after=lambda x: tf.gather(x, [2, 0, 1], axis=1)),
            "recall of red",
        ),
        (lambda network: Changed(network, before=lambda x: x / 255), "log_loss"),
    ],
    ids=["weights noised", "outputs permuted", "pixels off by a scale"],
)
def test_a_damaged_model_is_refused_although_its_training_looked_well(
    trained, evaluate, damage, caught_by
):
    found = evaluate(damage(trained.network))
    # What is refused is explained as well, as far as its network allows.
    assert {answer.activation is not None for answer in found.part.explained} == {damage is noised}
    assert trained.val_accuracy >= GATE["rules"][0]["min"]
    assert not found.blessed
    assert caught_by in failed(found.verdict)


def test_a_model_is_blessed_although_its_answers_cannot_be_told(
    trained, evaluate, tmp_path, monkeypatch
):
    def fails(predictions):
        raise MemoryError("too many classes")

    monkeypatch.setattr(executor, "evaluation_part", fails)
    monkeypatch.setenv(run_events.RUN_DIR_VARIABLE, str(tmp_path))
    found = evaluate(trained.network)
    assert found.blessed
    assert found.part is None
    assert "answers to the test images: MemoryError: too many classes" in (
        tmp_path / run_events.EVENTS_FILE
    ).read_text(encoding="utf-8")


def test_classes_in_another_order_are_caught_by_the_labels_that_are_served(trained, evaluate):
    """Its probabilities are sound, and in the order that its training tells."""
    found = evaluate(trained.network, labels=("red", "blue", "green"))
    assert not found.blessed
    assert failed(found.verdict) == {
        "images whose label is not the likeliest class",
        "accuracy",
        "recall of red",
    }
