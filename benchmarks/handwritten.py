"""What we are measured against: fine-tuning as one writes it by hand in Keras.

The recipe of Keras's own examples: images from class folders, augmentation layers in the model, a
head trained on the frozen backbone, then the top of it, then an evaluation on the test folder.
Same weights, same stages and epochs as the pipeline's; prints one line of JSON.
"""

import argparse
import json
from pathlib import Path

import keras
import tensorflow as tf

from trainer.backbones import lite, weights
from trainer.backbones.build import block_boundaries
from trainer.backbones.catalogue import BACKBONES, DEFAULT_BACKBONE
from trainer.config import StageConfig, TrainConfig


def main() -> None:
    """Trains and evaluates once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="holds train, val, test folders")
    parser.add_argument("--config", required=True, help="JSON of a TrainConfig")
    arguments = parser.parse_args()
    config = TrainConfig.parse_json(arguments.config)
    keras.utils.set_random_seed(config.seed)
    train, val, test = (
        load(arguments.data / split, config, shuffle=split == "train")
        for split in ("train", "val", "test")
    )
    backbone, model = build(len(train.class_names), config)
    # Shuffled behind the cache, which would keep one order for all epochs.
    train = train.cache().shuffle(1000).prefetch(tf.data.AUTOTUNE)
    val, test = (data.cache().prefetch(tf.data.AUTOTUNE) for data in (val, test))
    for stage in config.stages:
        unfreeze(backbone, first_layer(backbone, config.trained_blocks(stage)))
        fit(model, train, val, stage, verbose=2)
    _, accuracy = model.evaluate(test, verbose=0)
    print(json.dumps({"accuracy": accuracy}))


def fit(
    model: keras.Model,
    train: tf.data.Dataset,
    val: tf.data.Dataset,
    stage: StageConfig,
    verbose: int = 0,
) -> None:
    """Trains what is trainable, for a stage's epochs at its rate."""
    model.compile(
        optimizer=keras.optimizers.AdamW(stage.learning_rate, weight_decay=stage.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=stage.label_smoothing),
        metrics=["accuracy"],
    )
    model.fit(train, validation_data=val, epochs=stage.epochs, verbose=verbose)


def load(folder: Path, config: TrainConfig, shuffle: bool) -> tf.data.Dataset:
    """Reads class folders as float32 [batch, size, size, 3] in [0, 255] and one-hot labels."""
    size = BACKBONES[config.backbone].image_size
    return keras.utils.image_dataset_from_directory(
        folder,
        label_mode="categorical",
        image_size=(size, size),
        batch_size=config.batch_size,
        shuffle=shuffle,
        seed=config.seed,
        verbose=False,
    )


def build(classes: int, config: TrainConfig) -> tuple[keras.Model, keras.Model]:
    """Returns the backbone and the whole model, augmentation included."""
    info = BACKBONES[DEFAULT_BACKBONE]
    backbone = lite.build_lite(info, info.image_size)
    weights.load(backbone, info, "imagenet")
    changes = config.augmentation
    inputs = keras.Input((info.image_size, info.image_size, 3))
    x = keras.layers.RandomFlip(
        "horizontal_and_vertical" if changes.vertical_flip else "horizontal"
    )(inputs)
    x = keras.layers.RandomRotation(changes.rotation / 360.0)(x)
    x = keras.layers.RandomZoom(changes.zoom)(x)
    x = keras.layers.RandomContrast(changes.contrast, value_range=(0, 255))(x)
    x = backbone(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(config.dropout)(x)
    return backbone, keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))


def first_layer(backbone: keras.Model, blocks: int) -> int:
    """Returns the position of the lowest layer of the top blocks."""
    names = [layer.name for layer in backbone.layers]
    return names.index(block_boundaries(backbone)[-1 - blocks]) + 1 if blocks else len(names)


def unfreeze(backbone: keras.Model, first: int) -> None:
    """Lets the layers from a position on train; BatchNorm stays frozen."""
    for position, layer in enumerate(backbone.layers):
        frozen = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position >= first and not frozen


if __name__ == "__main__":
    main()
