import pytest
import tensorflow as tf

from tests.transformed import Transformed, tiny_training, transform_images
from trainer.config import TrainConfig

# For tests of several devices; it must be said before TensorFlow computes anything.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> Transformed:
    """A tiny dataset that went through TensorFlow Transform."""
    return transform_images(tmp_path_factory.mktemp("transformed"))


@pytest.fixture
def tiny_config() -> TrainConfig:
    """A head stage and a top-blocks stage on a random backbone."""
    return tiny_training()
