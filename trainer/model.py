"""The classifier: backbone, pooling and head, in parts that share their layers."""

import keras

from trainer.backbones.build import block_boundaries


class Classifier:
    """A backbone with a head, which can be cut at any block boundary.

    A cut is named by the number of blocks above it, counted from the top. 0 cuts between pooling
    and head: nothing of the backbone lies above. One more than there are blocks cuts at the
    pixels: the stem lies above, too.

    Attributes:
        network: float32 [batch, size, size, 3], pixels in [0, 255], to logits float32
            [batch, classes].
    """

    def __init__(self, backbone: keras.Model, classes: int, dropout: float) -> None:
        """Adds global average pooling, dropout and a dense layer to a backbone.

        Args:
            backbone: from `build_backbone`.
            classes: number of classes, 2 or more.
            dropout: share of pooled features dropped in training.
        """
        self._pixels = backbone.input
        self._uppers: dict[int, keras.Model] = {}
        self._boundaries = block_boundaries(backbone)
        self._backbone = backbone
        self._pooled = keras.layers.GlobalAveragePooling2D(name="pooling")(backbone.output)
        features = keras.layers.Dropout(dropout, name="dropout")(self._pooled)
        # In full precision, whatever the rest is computed in.
        logits = keras.layers.Dense(classes, name="logits", dtype="float32")(features)
        self.network = keras.Model(self._pixels, logits, name="classifier")

    def lower(self, blocks: int) -> keras.Model:
        """Returns what lies below a cut: pixels to activations."""
        return keras.Model(self._pixels, self._cut(blocks), name=f"below_{blocks}_blocks")

    def upper(self, blocks: int) -> keras.Model:
        """Returns what lies above a cut: activations to logits."""
        # Each model that Keras makes of layers leaves its mark on them.
        if blocks not in self._uppers:
            self._uppers[blocks] = keras.Model(
                self._cut(blocks), self.network.output, name=f"top_{blocks}_blocks_and_head"
            )
        return self._uppers[blocks]

    def between(self, lower: int, upper: int) -> keras.Model:
        """Returns what lies between a cut and a higher one, or the same: activations to such."""
        return keras.Model(
            self._cut(lower), self._cut(upper), name=f"from_{lower}_to_{upper}_blocks"
        )

    def train_only_above(self, blocks: int) -> None:
        """Lets the head, the top blocks and the convolution above them train, nothing else.

        BatchNorm never trains: with frozen statistics it is part of the pretrained features.
        """
        above = {layer.name for layer in self.upper(blocks).layers}
        for layer in self.network.layers:
            frozen = isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = layer.name in above and not frozen

    def _cut(self, blocks: int) -> keras.KerasTensor:
        if blocks == 0:
            return self._pooled
        if blocks == len(self._boundaries):
            return self._pixels
        return self._backbone.get_layer(self._boundaries[-1 - blocks]).output
