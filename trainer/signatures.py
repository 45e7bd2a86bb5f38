"""The exported model: image files in, classes out, and what in an image spoke for its class."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from components import features
from components.image_ops import decode_image
from trainer.preprocessing import decode_and_resize, resize_image, seen_region, to_size

# Evaluation and batch scoring send as many images as they like; memory is bounded here.
_IMAGES_AT_ONCE = 32


class ServingModule(tf.Module):
    """A trained network together with everything between it and the outside.

    An answer does not depend on what else is in its batch.

    Attributes:
        weights: the network's, by Keras's paths: a later training may begin from them.
        classes: string [classes], class names in order of the class index, for the same purpose.
        explains: whether it can tell what spoke for an answer: the network has such a head.
    """

    def __init__(
        self, network: keras.Model, labels: Sequence[str], image_size: int, resize: str
    ) -> None:
        """Takes a network from pixels in [0, 255] to logits, and what its inputs were made with.

        Args:
            network: float32 [batch, size, size, 3] to float32 [batch, classes].
            labels: class names in order of the class index.
            image_size: of the images that it was trained on, height and width in pixels; they are
                brought to the network's own size as in training.
            resize: as in TransformConfig.
        """
        super().__init__(name="classifier")
        size = network.input.shape[1]
        pooling, dense = _head(network) or (None, None)
        self.explains = dense is not None
        self._kernel = dense.kernel.value if dense else None
        whole = keras.Model(network.input, [network.output, pooling.input]) if pooling else network

        # What is written is one copy of the network, which all signatures call.
        @tf.function(input_signature=[tf.TensorSpec([None, image_size, image_size, 3], tf.float32)])
        def forward(pixels: tf.Tensor) -> list[tf.Tensor]:
            return tf.nest.flatten(whole(to_size(pixels, size), training=False))

        # A plain function, which hides the layers from the SavedModel: of use there are only
        # their weights, and it is written, and loaded by a server, in half the time.
        self._forward = lambda pixels: forward(tf.cast(pixels, tf.float32))
        self.weights = {weight.path: weight.value for weight in network.weights}
        self.classes = tf.Variable(list(labels), trainable=False)
        self._image_size = image_size
        self._resize = resize
        self._labels = tf.constant(list(labels))
        self._label_ids = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                self._labels, tf.range(len(labels), dtype=tf.int64)
            ),
            default_value=-1,
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=features.IMAGE)])
    def serve(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies image files.

        Args:
            image: string [batch], whole files.

        Returns:
            probabilities float32 [batch, classes], label string [batch] and score float32
            [batch], the label's probability.
        """
        parts = tf.TensorArray(
            tf.float32,
            size=0,
            dynamic_size=True,
            infer_shape=False,
            element_shape=[None, self._labels.shape[0]],
        )
        for start in tf.range(0, tf.shape(image)[0], _IMAGES_AT_ONCE):
            pixels = decode_and_resize(
                image[start : start + _IMAGES_AT_ONCE], self._image_size, self._resize
            )
            logits = self._forward(pixels)[0]
            parts = parts.write(parts.size(), tf.nn.softmax(logits))
        probabilities = parts.concat()
        best = tf.argmax(probabilities, axis=1)
        return {
            features.PROBABILITIES: probabilities,
            features.PREDICTED_LABEL: tf.gather(self._labels, best),
            features.SCORE: tf.reduce_max(probabilities, axis=1),
        }

    def class_activation(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Shows what in each image file spoke for the answer: Grad-CAM at the last feature map.

        Between that map and the logits lie its mean and a dense layer only, so the gradients that
        Grad-CAM averages are the dense layer's weights, all divided by the map's size, which the
        scaling takes out again: a forward pass tells them. Sources: Selvaraju et al. 2017,
        "Grad-CAM", arXiv 1610.02391; Zhou et al. 2016, arXiv 1512.04150, whose map this is.

        Args:
            image: string [batch], whole files; looked at one after the other.

        Returns:
            activation float32 [batch, height, width], at the resolution of the feature map: from
            1, where most speaks for the answer, to 0, where nothing does; all 0 where nothing
            does anywhere. What of the image it is over, region float32 [batch, 4], as
            `seen_region` tells it. And label string [batch], the answer.
        """
        activation, region, best = tf.map_fn(
            self._activation_of_one,
            image,
            parallel_iterations=1,
            fn_output_signature=(tf.float32, tf.float32, tf.int64),
        )
        return {
            features.ACTIVATION: activation,
            features.REGION: region,
            features.PREDICTED_LABEL: tf.gather(self._labels, best),
        }

    def _activation_of_one(self, file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = decode_image(file)
        pixels = resize_image(image, self._image_size, self._resize)
        logits, feature_map = self._forward(pixels[tf.newaxis])
        best = tf.argmax(logits[0])
        weights = tf.gather(self._kernel, best, axis=1)
        spoke_for = tf.nn.relu(tf.linalg.matvec(feature_map[0], weights))
        activation = tf.math.divide_no_nan(spoke_for, tf.reduce_max(spoke_for))
        return activation, seen_region(image, self._resize), best

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_labels(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Finds the class indices of raw examples, for evaluation.

        Args:
            examples: string [batch], serialised tf.Examples.

        Returns:
            label_id int64 [batch], and label_known float32 [batch]: the weight of the example,
            0 for a class that the model does not know (label_id is then 0), else 1. Where classes
            have come since, a model that serves is so judged on those that it knows.
        """
        spec = {features.LABEL: tf.io.FixedLenFeature([], tf.string)}
        labels = tf.io.parse_example(examples, spec)[features.LABEL]
        found = self._label_ids.lookup(labels)
        return {
            features.LABEL_ID: tf.maximum(found, 0),
            features.KNOWN: tf.cast(found >= 0, tf.float32),
        }


def _head(
    network: keras.Model,
) -> tuple[keras.layers.GlobalAveragePooling2D, keras.layers.Dense] | None:
    """Returns the pooling and the dense layer of a Classifier's head; None of another network."""
    match network.layers if isinstance(network, keras.Model) else []:
        case [
            *_,
            keras.layers.GlobalAveragePooling2D() as pooling,
            keras.layers.Dropout(),
            keras.layers.Dense() as dense,
        ]:
            return pooling, dense
    return None


def export(module: ServingModule, directory: str) -> None:
    """Writes a SavedModel.

    Its signatures are `serving_default`, `transform_labels` and, where the module can explain its
    answers, `class_activation`.
    """
    signatures = {
        features.SERVING_SIGNATURE: module.serve,
        features.LABELS_SIGNATURE: module.transform_labels,
    }
    if module.explains:
        signatures[features.ACTIVATION_SIGNATURE] = tf.function(
            module.class_activation,
            input_signature=[tf.TensorSpec([None], tf.string, name=features.IMAGE)],
        )
    tf.saved_model.save(
        module,
        directory,
        signatures=signatures,
        # Nobody trains what is exported; swish's own gradients would double the time. TensorFlow
        # logs that they are missing when such a model is loaded.
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
