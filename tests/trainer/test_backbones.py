import keras
import numpy as np
import pytest

from components.errors import ConfigError, InputError
from trainer.backbones import build, lite, weights
from trainer.backbones.catalogue import BACKBONES
from trainer.backbones.graph_edits import fold_batch_norm, pointwise_as_matmul
from trainer.backbones.torch_weights import read_state_dict

LITE0 = BACKBONES["efficientnet-lite0"]
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)


def _shake_batch_norms(model: keras.Model) -> None:
    """Gives BatchNorms values that a merge could get wrong."""
    numbers = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([numbers.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])


@pytest.mark.parametrize("member", ["lite0", "b0"])
def test_graph_edits_change_no_output(member):
    if member == "lite0":
        model = lite.build_lite(LITE0, 64)
    else:
        model = keras.applications.EfficientNetB0(
            include_top=False, weights=None, input_shape=(64, 64, 3)
        )
    _shake_batch_norms(model)
    edited = pointwise_as_matmul(fold_batch_norm(model))
    kinds = {type(layer) for layer in edited.layers}
    assert keras.layers.BatchNormalization not in kinds
    assert keras.layers.EinsumDense in kinds
    expected = model(PIXELS, training=False)
    np.testing.assert_allclose(edited(PIXELS), expected, rtol=1e-3, atol=1e-4)


def test_keras_members_see_pixels_as_imagenet_training_did():
    keras.utils.set_random_seed(0)
    ours = build.build_backbone("efficientnet-b0", "none", 64)
    keras.utils.set_random_seed(0)
    theirs = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    after_theirs = keras.Model(theirs.get_layer("stem_conv_pad").input, theirs.output)
    normalised = (PIXELS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(ours(PIXELS), after_theirs(normalised), atol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2", "efficientnet-b0"])
def test_block_boundaries_are_the_catalogues(name):
    backbone = build.build_backbone(name, "none", 32)
    boundaries = build.block_boundaries(backbone)
    assert len(boundaries) == 1 + BACKBONES[name].blocks
    assert boundaries[-1].startswith("block7")
    assert backbone.output_shape[1:3] == (1, 1)


def test_package_weights_all_find_their_place():
    model = lite.build_lite(LITE0, 64)
    weights.load(model, LITE0, "imagenet")
    # 4.65 million parameters are published; 1,000 classes of 1,280 features are not built here.
    assert (
        model.count_params() - sum(np.prod(w.shape) for w in model.non_trainable_weights)
        == 4_652_008 - 1_281_000
    )


def test_imagenet_weights_know_what_is_in_a_picture():
    """Architecture, weights and normalisation together, with the package's own classifier."""
    images = pytest.importorskip("sklearn.datasets").load_sample_images().images
    state = read_state_dict(weights.package_file(LITE0))
    backbone = build.build_backbone("efficientnet-lite0", "imagenet", 224)
    pixels = np.stack([keras.ops.image.resize(image, (224, 224)) for image in images])
    features = keras.ops.mean(backbone(pixels), axis=(1, 2))
    logits = features @ state["_fc.weight"].T + state["_fc.bias"]
    bell_cote, daisy = 442, 985
    np.testing.assert_array_equal(np.argmax(logits, axis=1), [bell_cote, daisy])


def test_weights_of_another_member_are_refused():
    lite1 = lite.build_lite(BACKBONES["efficientnet-lite1"], 32)
    with pytest.raises(InputError, match="another member"):
        weights.load_file(lite1, weights.package_file(LITE0))


def test_image_size_below_the_smallest_is_refused():
    with pytest.raises(ConfigError, match="takes 32 or more"):
        build.build_backbone("efficientnet-lite0", "none", 31)
