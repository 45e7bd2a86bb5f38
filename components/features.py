"""The data contract: split names and the features of raw and of transformed examples.

A raw example holds one image file unchanged, what is known of it, and every further column of a
CSV manifest (or feature of a TFRecord) under its own name, to slice by. A transformed example
holds pixels and a class index.
"""

TRAIN = "train"
VAL = "val"
TEST = "test"
SPLITS = (TRAIN, VAL, TEST)

# Raw examples.
IMAGE = "image"  # bytes: the file as it was found (JPEG, PNG, GIF, BMP or WebP)
LABEL = "label"  # bytes: UTF-8 class name
ID = "id"  # bytes: UTF-8, path relative to the data root, or shard and record number
GROUP = "group"  # bytes: UTF-8, images of one group share a split; empty where there is none
WIDTH = "width"  # int64: pixels
HEIGHT = "height"  # int64: pixels
CHANNELS = "channels"  # int64: as stored in the file, before conversion to RGB
FORMAT = "format"  # bytes: "jpeg", "png", "gif", "bmp" or "webp"
BYTE_SIZE = "byte_size"  # int64: length of the file
BRIGHTNESS = "brightness"  # float: mean over pixels and channels, in [0, 1]
CONTENT_HASH = "content_hash"  # bytes: hex SHA-256 of the file

RAW_FEATURES = (
    IMAGE,
    LABEL,
    ID,
    GROUP,
    WIDTH,
    HEIGHT,
    CHANNELS,
    FORMAT,
    BYTE_SIZE,
    BRIGHTNESS,
    CONTENT_HASH,
)

# Transformed examples.
PIXELS = "pixels"  # bytes: height * width * 3 uint8, row by row, RGB
LABEL_ID = "label_id"  # int64: index into the vocabulary of labels
VOCABULARY = "labels"  # name of the vocabulary file in the transform graph: a class name a line

# The exported model: SavedModel leaves a folder to its users.
EXTRA = "assets.extra"
TRAINING_FILE = "training.json"  # in it: backbone, weights, classes and how it was trained

# Its signatures.
SERVING_SIGNATURE = "serving_default"
LABELS_SIGNATURE = "transform_labels"
ACTIVATION_SIGNATURE = "class_activation"  # of networks whose head is pooling and a dense layer
KNOWN = "label_known"  # float32 [batch]: 1, or 0 for a class that the model doesn't know
PROBABILITIES = "probabilities"  # float32 [batch, classes]
PREDICTED_LABEL = "label"  # string [batch]
SCORE = "score"  # float32 [batch]: the probability of the predicted label
ACTIVATION = "activation"  # float32 [batch, height, width], in [0, 1]: what spoke for it
REGION = "region"  # float32 [batch, 4]: what of the image the activation is over; `seen_region`
