import subprocess
import sys

import pytest

from components.errors import ConfigError
from trainer.config import TrainConfig, TransformConfig, resolve_image_size


def test_defaults_survive_json():
    config = TrainConfig()
    assert TrainConfig.parse_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backbone": "efficientnet-b00"}, "did you mean 'efficientnet-b0'"),
        ({"backbone": "resnet"}, "known: efficientnet-lite0, .*efficientnet-b7"),
        ({"stages": []}, "stages"),
        (
            {"stages": [{"train": "top_blocks", "epochs": 1, "learning_rate": 1}]},
            "needs 'blocks'",
        ),
        (
            {"stages": [{"train": "head", "blocks": 1, "epochs": 1, "learning_rate": 1}]},
            "takes no 'blocks'",
        ),
        (
            {"stages": [{"train": "top_blocks", "blocks": 17, "epochs": 1, "learning_rate": 1}]},
            "efficientnet-lite0 has 16",
        ),
        (
            {"stages": [{"train": "all", "blocks": 1, "epochs": 1, "learning_rate": 1}]},
            "'all' takes no 'blocks'",
        ),
        ({"search": {"enabled": True}, "warm_start": "serving"}, "take one of the two"),
        ({"search": {"enabled": True}, "weights": "none"}, "a search tries search.weights"),
        (
            {
                "backbone": "efficientnet-b4",
                "search": {"enabled": True},
                "stages": [{"train": "top_blocks", "blocks": 20, "epochs": 1, "learning_rate": 1}],
            },
            "efficientnet-lite0, which is to be tried, has 16",
        ),
        ({"search": {"max_parameters": 2}}, "less than the 4.7 of the smallest member"),
        (
            {"search": {"backbones": ["efficientnet-lite0"], "weights": ["noisy-student"]}},
            "none of efficientnet-lite0 has noisy-student weights",
        ),
        ({"augmentation": {"views": 0}}, "augmentation.views"),
        ({"augmentation": {"rotation": 20}}, "stages.0 trains the head over one view.*set augm"),
        ({"loss": {"class_weights": "balanced", "sampling": "balanced"}}, "balance by one of"),
        ({"hardware": {"backend": "jax", "strategy": "mirrored"}}, "is TensorFlow's"),
        ({"hardware": {"backend": "jax", "precision": "mixed_float16"}}, "take mixed_bfloat16"),
        ({"weights": "imagnet"}, "did you mean 'imagenet'"),
        ({"weights": "noisy-student"}, "no noisy-student weights of efficientnet-lite0"),
        ({"weights": "model.bin"}, "known: imagenet, noisy-student, none"),
        ({"dropot": 0.1}, "did you mean 'dropout'"),
    ],
)
def test_wrong_settings_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig.parse(values)


def test_image_size_is_the_backbones_unless_set():
    train = TrainConfig(backbone="efficientnet-b3")
    assert resolve_image_size(TransformConfig(), train) == 300
    assert resolve_image_size(TransformConfig(image_size=96), train) == 96
    with pytest.raises(ConfigError, match="image_size"):
        TransformConfig.parse({"image_size": 16})


def test_importing_it_loads_no_tensorflow():
    code = "import sys, trainer.config; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
