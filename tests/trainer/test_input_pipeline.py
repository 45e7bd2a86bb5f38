import numpy as np
import pytest
import tensorflow as tf

from components import features
from components.errors import DataError
from trainer.input_pipeline import index_examples, read_pixels

SIZE = 8


def _write(folder, shards):
    """Examples by number: pixels, label and id all follow from it."""
    folder.mkdir()
    for shard, numbers in enumerate(shards):
        with tf.io.TFRecordWriter(str(folder / f"part-{shard}")) as writer:
            for number in numbers:
                writer.write(_example(number).SerializeToString())
    return [str(folder / "*")]


def _example(number):
    def bytes_feature(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2]))
    feature = {
        features.PIXELS: bytes_feature(bytes([number]) * SIZE * SIZE * 3),
        features.ID: bytes_feature(f"{number:03}.png".encode()),
        features.LABEL_ID: label,
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def _by_row(index):
    """First pixel of each image, by its row."""
    read = np.concatenate([batch.numpy() for batch in read_pixels(index, 2)])
    assert index.image_size == SIZE
    assert read.shape == (len(index), SIZE, SIZE, 3)
    values = np.empty(len(index), np.uint8)
    values[index.rows] = read[:, 0, 0, 0]
    return values


def test_rows_do_not_depend_on_the_shards(tmp_path):
    one = index_examples(_write(tmp_path / "one", [range(7)]), features.TRAIN)
    other = index_examples(_write(tmp_path / "other", [[6, 0, 3], [5, 1], [4, 2]]), features.TRAIN)
    for index in (one, other):
        np.testing.assert_array_equal(index.labels, [0, 1, 0, 1, 0, 1, 0])
        np.testing.assert_array_equal(_by_row(index), range(7))
    np.testing.assert_array_equal(one.image_keys, other.image_keys)
    assert len(set(one.image_keys)) == 7


def test_an_empty_split_is_named(tmp_path):
    no_shards = [str(tmp_path / "*")]
    with pytest.raises(DataError, match="the val split has no images"):
        index_examples(no_shards, features.VAL)
    with pytest.raises(DataError, match="the val split has no images"):
        index_examples(_write(tmp_path / "empty_shard", [[]]), features.VAL)
