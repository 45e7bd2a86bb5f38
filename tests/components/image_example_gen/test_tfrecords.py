import gzip
from pathlib import Path

import pytest
import tensorflow as tf

from components.errors import DataError
from components.image_example_gen import tfrecords
from components.image_example_gen.config import FieldNames
from components.image_example_gen.source import Item


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in (b"first", b"", b"third"):
            writer.write(payload)
    return path


def _list(path: Path, scratch: Path) -> list[Item]:
    return list(tfrecords.list_records(Item(path.name, str(path), ""), str(scratch)))


def test_records_are_found_in_plain_and_in_gzipped_files(shard: Path, tmp_path: Path) -> None:
    packed = tmp_path / "b.tfrecord.gz"
    packed.write_bytes(gzip.compress(shard.read_bytes()))
    for path in (shard, packed):
        items = _list(path, tmp_path)
        assert [item.id for item in items] == [f"{path.name}#{n:06d}" for n in range(3)]
        assert [tfrecords.read_payload(item) for item in items] == [b"first", b"", b"third"]


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"x" + b[1:]])
def test_a_damaged_file_is_refused(damage: object, shard: Path, tmp_path: Path) -> None:
    shard.write_bytes(damage(shard.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataError, match="damaged or cut off"):
        _list(shard, tmp_path)


def test_a_flipped_bit_is_noticed(shard: Path, tmp_path: Path) -> None:
    items = _list(shard, tmp_path)
    shard.write_bytes(shard.read_bytes().replace(b"third", b"thirD"))
    with pytest.raises(tfrecords.MalformedRecordError, match="checksum"):
        tfrecords.read_payload(items[2])


def test_a_cut_off_gzip_file_is_refused(shard: Path, tmp_path: Path) -> None:
    shard.write_bytes(gzip.compress(shard.read_bytes())[:-10])
    with pytest.raises(DataError, match="can't be unpacked"):
        _list(shard, tmp_path)


def test_features_by_other_names() -> None:
    example = tf.train.Example()
    feature = example.features.feature
    feature["jpeg"].bytes_list.value.append(b"...")
    feature["y"].int64_list.value.append(3)
    feature["patient_id"].int64_list.value.append(17)
    feature["width"].int64_list.value.append(4)
    feature["ages"].float_list.value.extend([1.5, 2.5])
    fields = FieldNames(image="jpeg", label="y", group="patient_id")
    record = tfrecords.parse(example.SerializeToString(), fields)
    assert (record.image, record.label, record.group, record.split) == (b"...", "3", "17", "")
    assert sorted(record.extra) == ["ages", "width_given"]
    with pytest.raises(tfrecords.MalformedRecordError, match="'image'; it has ages, jpeg, "):
        tfrecords.parse(example.SerializeToString(), FieldNames())
    with pytest.raises(tfrecords.MalformedRecordError, match="isn't an example"):
        tfrecords.parse(b"\xff\xff", fields)
