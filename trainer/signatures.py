"""The exported model: image files in, classes out."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from components import features
from trainer.preprocessing import decode_and_resize, to_size

# Evaluation and batch scoring send as many images as they like; memory is bounded here.
_IMAGES_AT_ONCE = 32


class ServingModule(tf.Module):
    """A trained network together with everything between it and the outside.

    An answer does not depend on what else is in its batch.

    Attributes:
        weights: the network's, by Keras's paths: a later training may begin from them.
        classes: string [classes], class names in order of the class index, for the same purpose.
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
        # A plain function, which hides the layers from the SavedModel: of use there are only
        # their weights, and it is written, and loaded by a server, in half the time.
        size = network.input.shape[1]
        self._network = lambda pixels: network(to_size(pixels, size), training=False)
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
            logits = self._network(tf.cast(pixels, tf.float32))
            parts = parts.write(parts.size(), tf.nn.softmax(logits))
        probabilities = parts.concat()
        best = tf.argmax(probabilities, axis=1)
        return {
            features.PROBABILITIES: probabilities,
            features.PREDICTED_LABEL: tf.gather(self._labels, best),
            features.SCORE: tf.reduce_max(probabilities, axis=1),
        }

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


def export(module: ServingModule, directory: str) -> None:
    """Writes a SavedModel with the signatures `serving_default` and `transform_labels`."""
    tf.saved_model.save(
        module,
        directory,
        signatures={
            features.SERVING_SIGNATURE: module.serve,
            features.LABELS_SIGNATURE: module.transform_labels,
        },
        # Nobody trains what is exported; swish's own gradients would double the time. TensorFlow
        # logs that they are missing when such a model is loaded.
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
