import keras
import numpy as np
import pytest
import tensorflow as tf

from components import features
from components.errors import ConfigError, InputError
from trainer.backbones import build, lite, weights
from trainer.backbones.catalogue import BACKBONES
from trainer.backbones.graph_edits import compact
from trainer.backbones.torch_weights import read_state_dict
from trainer.model import Classifier
from trainer.signatures import ServingModule, export

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
    edited = compact(model)
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


# The least of each kind: writing and loading the others takes minutes, and tells no more.
EXPORTED = {f"efficientnet-{name}" for name in ("lite0", "b0", "v2-b0", "v2-s")}


@pytest.mark.parametrize("info", BACKBONES.values(), ids=BACKBONES)
def test_a_member_builds_trains_and_answers(info, tmp_path):
    backbone = build.build_backbone(info.name, "none", 32)
    boundaries = build.block_boundaries(backbone)
    assert len(boundaries) == 1 + info.blocks
    assert backbone.output_shape[1:3] == (1, 1)

    classifier = Classifier(backbone, 2, dropout=0.0)
    classifier.train_only_above(1)
    upper = classifier.upper(1)
    inputs = np.random.default_rng(0).normal(size=(2, *upper.input.shape[1:]))
    upper.compile(keras.optimizers.SGD(1e-3), "mse")
    before = [variable.numpy() for variable in upper.trainable_variables]
    upper.train_on_batch(inputs, np.ones((2, 2)))
    after = [variable.numpy() for variable in upper.trainable_variables]
    assert not any(np.array_equal(*pair) for pair in zip(before, after, strict=True))

    if info.name not in EXPORTED:
        return
    export(ServingModule(classifier.network, ["hat", "scarf"], 32, "squash"), str(tmp_path))
    serve = tf.saved_model.load(str(tmp_path)).signatures[features.SERVING_SIGNATURE]
    png = tf.io.encode_png(np.full((40, 20, 3), 99, np.uint8))
    answer = serve(image=png[tf.newaxis])
    logits = classifier.network(np.full((1, 32, 32, 3), 99.0))
    np.testing.assert_allclose(answer[features.PROBABILITIES], tf.nn.softmax(logits), atol=1e-5)


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
