"""Training by JAX, on two devices that its CPU is made to look like, beside TensorFlow's."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import tensorflow as tf

from components import features
from components.errors import ConfigError, InputError
from components.model_versions import read_training
from tests.trainer.settings import OFF
from trainer import jax_process, run
from trainer.config import AugmentationConfig, StageConfig
from trainer.hardware_config import HardwareConfig


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Where JAX keeps what it has compiled, most of the time of trainings that are alike."""
    return str(tmp_path_factory.mktemp("compiled"))


@pytest.fixture
def jax_config(tiny_config, monkeypatch, compiled):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", compiled)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    return tiny_config.model_copy(
        update={
            "hardware": HardwareConfig(backend="jax"),
            "dropout": 0.0,
            # 24 images make the last batch one of 4, which is filled up.
            "batch_size": 10,
        }
    )


def _history(folder) -> list[tuple[float, float]]:
    stages = read_training(folder / "model" / "Format-Serving")["stages"]
    return [
        (epoch[split]["loss"], epoch[split]["accuracy"])
        for stage in stages
        for epoch in stage["history"]
        for split in ("train", "val")
    ]


def test_jax_trains_what_tensorflow_trains_and_the_export_is_the_same(
    transformed, jax_config, tmp_path, capfd, monkeypatch
):
    """Both begin from one model: the two libraries draw other weights by the same seed."""
    first = jax_config.model_copy(
        update={"stages": jax_config.stages[:1], "hardware": HardwareConfig()}
    )
    run.run_fn(transformed.fn_args(tmp_path / "first", first))
    head, blocks = jax_config.stages
    averaged = blocks.model_copy(update={"ema": 0.5})
    by_jax = jax_config.model_copy(update={"stages": (head, averaged), "warm_start": "serving"})
    answers = []
    for name, config in (
        ("jax", by_jax),
        ("tensorflow", by_jax.model_copy(update={"hardware": HardwareConfig()})),
    ):
        fn_args = transformed.fn_args(tmp_path / name, config)
        fn_args.base_model = str(tmp_path / "first" / "model" / "Format-Serving")
        with monkeypatch.context() as patch:
            if name == "jax":  # here nothing is left to train
                patch.setattr("trainer.finetune.StageTrainer", None)
            run.run_fn(fn_args)
        model = tf.saved_model.load(str(tmp_path / name / "model" / "Format-Serving"))
        image = tf.io.encode_png(np.full((40, 40, 3), 90, np.uint8))
        answer = model.signatures[features.SERVING_SIGNATURE](image=image[tf.newaxis])
        answers.append(answer[features.PROBABILITIES].numpy())
    assert "trains by JAX on 2 x cpu" in capfd.readouterr().out
    np.testing.assert_allclose(
        _history(tmp_path / "jax"), _history(tmp_path / "tensorflow"), rtol=1e-3
    )
    np.testing.assert_allclose(*answers, atol=1e-3)
    assert list((tmp_path / "jax" / "run" / run.LOGS_FOLDER).glob("1-top_blocks/val/*"))


def test_a_training_that_was_killed_there_goes_on_and_ends_the_same(
    transformed, jax_config, tmp_path
):
    run.run_fn(transformed.fn_args(tmp_path / "undisturbed", jax_config))
    fn_args = transformed.fn_args(tmp_path / "killed", jax_config)
    killer = threading.Thread(target=_kill_after_an_epoch, args=[tmp_path / "killed"])
    killer.start()
    with pytest.raises(RuntimeError, match="ended with status -9"):
        run.run_fn(fn_args)
    killer.join()
    run.run_fn(fn_args)
    np.testing.assert_allclose(
        _history(tmp_path / "killed"), _history(tmp_path / "undisturbed"), rtol=1e-6
    )


def _kill_after_an_epoch(folder) -> None:
    deadline = time.monotonic() + 120
    while (
        not list((folder / "checkpoints").rglob("checkpoint.npz")) and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    for child in psutil.Process().children():
        if "trainer.jax_process" in child.cmdline():
            child.kill()


def test_what_ends_a_training_there_is_told_here(transformed, jax_config, tmp_path):
    """All kinds of augmentation are computed before a rate that is too high makes an end of it."""
    changes = {**OFF, "rand_augment": 1, "erasing": 0.5, "mixup": 0.2, "cutmix": 1.0}
    stage = StageConfig(train="head", epochs=2, learning_rate=1e38)
    config = jax_config.model_copy(
        update={"augmentation": AugmentationConfig(views=2, **changes), "stages": (stage,)}
    )
    with pytest.raises(InputError, match=r"not finite.*lower its learning_rate"):
        run.run_fn(transformed.fn_args(tmp_path, config))


def test_jax_that_is_missing_is_told(monkeypatch):
    monkeypatch.setattr(jax_process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"install effnet-tfx\[tpu\]"):
        jax_process.check_installed()


def test_a_process_that_ends_without_a_word_is_told():
    with pytest.raises(RuntimeError, match="ended with status 3; the next run goes on"):
        jax_process.in_jax_process(os._exit, 3)


def test_it_ends_with_the_process_that_asked():
    code = "import time; from trainer.jax_process import in_jax_process as go; go(time.sleep, 600)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert "trains by JAX" in parent.stdout.readline()
    parent.kill()
    # Both write to this pipe, which is at its end when both have ended.
    assert parent.communicate(timeout=60)[0] == ""
