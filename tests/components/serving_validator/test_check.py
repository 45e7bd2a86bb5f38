"""A small exported model on the real server: what passes, and what is found out."""

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfx.types import artifact_utils, standard_artifacts

from components import features
from components.evaluator.verdict import Rule
from components.model_server import process
from components.serving_validator import checks, executor
from components.serving_validator.client import Client
from components.serving_validator.config import ServingCheckConfig
from components.serving_validator.executor import check, sample_images
from components.serving_validator.report import FILE, ServingReport

LABELS = ("bright", "dark")
CONFIG = ServingCheckConfig(images=4, requests=20)


class Brightness(tf.Module):
    """Answers by the mean of the pixels, as fast as a model can.

    `wrong` is added to the probabilities when more than one image is asked about.
    """

    def __init__(self, wrong: float = 0.0) -> None:
        super().__init__()
        self._wrong = wrong

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=features.IMAGE)])
    def serve(self, image):
        def mean(contents):
            pixels = tf.io.decode_image(contents, channels=3, expand_animations=False)
            return tf.reduce_mean(tf.cast(pixels, tf.float32)) / 255

        bright = tf.map_fn(mean, image, fn_output_signature=tf.float32)
        bright += self._wrong * tf.cast(tf.shape(image)[0] > 1, tf.float32)
        probabilities = tf.stack([bright, 1 - bright], axis=1)
        best = tf.argmax(probabilities, axis=1)
        return {
            features.PROBABILITIES: probabilities,
            features.PREDICTED_LABEL: tf.gather(tf.constant(LABELS), best),
            features.SCORE: tf.reduce_max(probabilities, axis=1),
        }


def exported(folder: Path, wrong: float = 0.0) -> Path:
    module = Brightness(wrong)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    (folder / features.EXTRA).mkdir()
    (folder / features.EXTRA / features.TRAINING_FILE).write_text(json.dumps({"classes": LABELS}))
    return folder


def model_folder(root: Path, model: Path) -> Path:
    (root / "served").mkdir()
    (root / "served" / "1").symlink_to(model)
    return root / "served"


def picture(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 120, (40, 50, 3)) + rng.integers(0, 2) * 135
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


FILES = [picture(seed) for seed in range(4)]


def failed(report: ServingReport) -> dict[str, str | None]:
    return {rule.metric: rule.reason for rule in report.rules if not rule.passed}


def test_a_sound_model_passes_within_budgets_that_it_keeps(tmp_path):
    config = CONFIG.model_copy(update={"max_p95_ms": 0.001, "min_images_per_second": 0.1})
    report = check(exported(tmp_path / "model"), FILES, config, tmp_path / "log")
    assert set(failed(report)) == {"serving latency p95, ms"}
    kinds = " ".join(rule.metric for rule in report.rules)
    for kind in ("REST v1", "REST v2", "gRPC v2", "a huge image", "truncated", "an empty body"):
        assert kind in kinds
    refusals = [rule for rule in report.rules if "refuses" in rule.metric]
    assert [rule.value for rule in refusals] == [3] * 5
    assert report.latency is not None
    assert 0 < report.latency.p50_ms <= report.latency.p95_ms <= report.latency.p99_ms
    assert report.images_per_second > 0.1
    assert report.memory_mb > 50
    assert report.in_process_p50_ms is not None
    assert report.in_process_p50_ms > 0


def test_answers_that_depend_on_their_company_are_found_out(tmp_path):
    report = check(exported(tmp_path / "model", wrong=0.1), FILES, CONFIG, tmp_path / "log")
    assert {"serving by REST v1: largest difference", "serving by gRPC v2: largest difference"} <= {
        *failed(report)
    }
    assert report.latency is None
    assert "answers" in Path(report.log).read_text()


def test_junk_that_one_protocol_answers_or_blames_on_the_server_is_found_out(tmp_path):
    model = exported(tmp_path / "model")
    with process.start(model_folder(tmp_path, model), tmp_path / "log") as server:

        async def refused(name: str) -> list[Rule]:
            async with Client(server.url, server.grpc_address, name) as client:
                good = {protocol: ask(FILES[:1]) for protocol, ask in client.protocols.items()}
                junk = {protocol: send(b"junk") for protocol, send in client.raw.items()}
                return [await checks._refuses("x", good), await checks._refuses("x", junk)]

        answered, rightly = asyncio.run(refused("served"))
    assert not answered.passed
    assert answered.reason == "REST v1: answered; REST v2: answered; gRPC v2: answered"
    assert rightly.passed
    gone = asyncio.run(refused("served"))[1]
    assert gone.value == 0
    assert "REST v2: ConnectError" in gone.reason
    assert "gRPC v2: UNAVAILABLE" in gone.reason


def test_a_model_that_does_not_load_is_told_with_the_end_of_the_log(tmp_path):
    model = exported(tmp_path / "model")
    with pytest.MonkeyPatch.context() as patch:
        found = executor._without_server(model, FILES)
        patch.setattr(executor, "_without_server", lambda model, files: found)
        (model / "saved_model.pb").write_bytes(b"no graph")
        report = check(
            model, FILES, CONFIG.model_copy(update={"ready_seconds": 60}), tmp_path / "log"
        )
    (reason,) = failed(report).values()
    assert not report.passed
    assert "can't be loaded" in reason


def test_batches_hold_few_images_and_few_bytes_but_for_one_that_has_more():
    sizes = [1, 1, 1, 40, 20, 20, 1]
    files = [bytes(size << 20) for size in sizes]
    found = [sizes[part] for part in checks._batches(files, 2)]
    assert found == [[1, 1], [1], [40], [20], [20, 1]]


def test_images_are_the_same_each_time_and_from_all_over(tmp_path):
    folder = tmp_path / "Split-test"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "part.gz"), "GZIP") as writer:
        for number in range(50):
            feature = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for name, value in (
                    (features.ID, b"%d" % number),
                    (features.IMAGE, b"image %d" % number),
                )
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path)
    examples.split_names = artifact_utils.encode_split_names([features.TEST])
    chosen = sample_images([examples], 10)
    assert chosen == sample_images([examples], 10)
    assert len(set(chosen)) == 10
    assert max(int(image.split()[1]) for image in chosen) > 20
    assert len(sample_images([examples], 80)) == 50


def test_a_model_that_the_gate_refused_is_not_served_and_not_blessed(tmp_path):
    inputs = {
        "model": standard_artifacts.Model(),
        "model_blessing": standard_artifacts.ModelBlessing(),
        "examples": standard_artifacts.Examples(),
    }
    inputs["model_blessing"].set_int_custom_property("blessed", 0)
    blessing = standard_artifacts.InfraBlessing()
    blessing.uri = str(tmp_path)
    executor.Executor().Do(
        {name: [artifact] for name, artifact in inputs.items()},
        {"infra_blessing": [blessing]},
        {"check_config": CONFIG.model_dump_json()},
    )
    assert blessing.get_int_custom_property("blessed") == 0
    assert {path.name for path in tmp_path.iterdir()} == {FILE, "INFRA_NOT_BLESSED"}
    assert not ServingReport.model_validate_json((tmp_path / FILE).read_text()).passed
