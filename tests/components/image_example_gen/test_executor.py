import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts

from components import features, learnt_images, run_events
from components.errors import DataError
from components.image_example_gen import executor as executor_module
from components.image_example_gen import inspection as inspection_module
from components.image_example_gen.config import DataConfig, SplitsConfig
from components.image_example_gen.executor import Executor
from components.run_report.parts import DataPart
from components.store import StoreError, open_store
from tests import images, planted

# The image is not used by a local runner; naming one keeps TFX from packing itself for each node.
BEAM_ARGS = ("--runner=FnApiRunner", "--sdk_container_image=none")


@dataclass
class Outcome:
    """What a run of the executor left behind."""

    artifact: standard_artifacts.Examples
    report: dict[str, Any]
    rejected: list[dict[str, str]]

    @property
    def examples(self) -> dict[str, list[tf.train.Example]]:
        """Split -> examples in the order of their shards."""
        found: dict[str, list[tf.train.Example]] = {}
        for split in self.artifact.splits:
            paths = sorted(str(p) for p in Path(self.artifact.path(split=split)).iterdir())
            records = tf.data.TFRecordDataset(paths).as_numpy_iterator()
            found[split] = [tf.train.Example.FromString(record) for record in records]
        return found

    @property
    def where(self) -> dict[str, str]:
        """Id -> split."""
        return {
            text(example, features.ID): split
            for split, found in self.examples.items()
            for example in found
        }


def text(example: tf.train.Example, name: str) -> str:
    """Returns the first value of a bytes feature."""
    return example.features.feature[name].bytes_list.value[0].decode()


def run(data_path: Path | str, out: Path, beam_args=BEAM_ARGS, **settings: Any) -> Outcome:
    """Runs the executor as on Kubeflow, where no driver has run before it."""
    examples, ingestion = standard_artifacts.Examples(), simple_artifacts.File()
    examples.uri, ingestion.uri = str(out / "examples"), str(out / "ingestion")
    Executor(Executor.Context(beam_pipeline_args=list(beam_args))).Do(
        {},
        {"examples": [examples], "ingestion": [ingestion]},
        {
            "data_path": str(data_path),
            "data_config": DataConfig.parse(settings).model_dump_json(),
            "splits_config": SplitsConfig(train=0.5, val=0.25, test=0.25).model_dump_json(),
        },
    )
    return Outcome(
        examples,
        json.loads((out / "ingestion/report.json").read_text()),
        [json.loads(line) for line in (out / "ingestion/rejected.jsonl").read_text().splitlines()],
    )


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder."""
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setenv(run_events.RUN_DIR_VARIABLE, str(folder))
    return folder


def part_in(folder: Path) -> DataPart:
    """Returns what ingestion left for the report, in its artifact or in the run's folder."""
    part = DataPart.parse((folder / "report/data.json").read_text())
    assert part is not None
    return part


def warnings_in(folder: Path) -> str:
    """Returns all warnings of a run."""
    lines = (folder / run_events.EVENTS_FILE).read_text().splitlines()
    return "\n".join(json.loads(line).get("text", "") for line in lines)


def test_class_folders(tmp_path: Path, events: Path) -> None:
    data = tmp_path / "data"
    paths = images.write_class_folders(data, {"cat": 20, "<b>דג</b> 🐟": 20})
    (data / "cat/broken.jpg").write_bytes(images.encode(size=(64, 64))[:-400])
    (data / "cat/text.png").write_text("no image")
    (data / "cat/turned.jpg").write_bytes(images.rotated(99))
    outcome = run(data, tmp_path, max_rejected_share=0.1)
    assert {row["id"]: row["reason"] for row in outcome.rejected} == {
        "cat/broken.jpg": "undecodable",
        "cat/text.png": "not_an_image",
    }
    assert len(outcome.where) == 41
    assert outcome.report["rejected"]["count"] == 2
    assert outcome.report["exif_rotated"] == 1
    assert sum(sum(split.values()) for split in outcome.report["images"].values()) == 41
    assert "EXIF" in warnings_in(events)
    example = next(
        e
        for e in outcome.examples[outcome.where["cat/0003.jpg"]]
        if text(e, features.ID) == "cat/0003.jpg"
    )
    found = example.features.feature
    assert set(found) == set(features.RAW_FEATURES)
    assert found[features.IMAGE].bytes_list.value[0] == paths[3].read_bytes()
    assert found[features.WIDTH].int64_list.value == [16]
    assert text(example, features.LABEL) == "cat"
    assert (outcome.artifact.span, outcome.artifact.splits) == (0, list(features.SPLITS))
    assert not (tmp_path / "ingestion/scratch").exists()


def test_output_is_the_same_however_the_work_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images.write_class_folders(tmp_path / "data", {"a": 15, "b": 15})
    first = run(tmp_path / "data", tmp_path / "1").examples
    monkeypatch.setattr(inspection_module, "_ITEMS_A_CHUNK", 4)
    monkeypatch.setattr(executor_module, "_SHARD_IMAGES", 3)
    second = run(tmp_path / "data", tmp_path / "2")
    assert len(list(Path(second.artifact.path(split="train")).iterdir())) > 1
    assert second.examples == first


def test_spans_keep_the_splits_of_images_that_were_there_before(tmp_path: Path) -> None:
    images.write_class_folders(tmp_path / "week-1", {"a": 12, "b": 12})
    images.write_class_folders(tmp_path / "week-2", {"a": 12, "b": 12, "c": 8})
    old = run(tmp_path / "week-{SPAN}", tmp_path / "1", span="1")
    new = run(tmp_path / "week-{SPAN}", tmp_path / "2")
    assert (old.artifact.span, new.artifact.span, new.report["span"]) == (1, 2, "2")
    assert old.where.items() <= new.where.items()
    assert len(new.where) == 32


def test_the_images_of_train_and_val_are_kept_by_their_content(tmp_path: Path) -> None:
    images.write_class_folders(tmp_path / "data", {"a": 15, "b": 15})
    found = run(tmp_path / "data", tmp_path).examples
    table = learnt_images.read(tmp_path / "ingestion")
    assert table is not None
    in_table = {
        split: learnt_images.among(table, [text(e, features.CONTENT_HASH) for e in examples])
        for split, examples in found.items()
    }
    assert in_table["train"].all()
    assert in_table["val"].all()
    assert not in_table["test"].any()
    assert len(table) == len(found["train"]) + len(found["val"])


def test_official_splits_drop_copies_from_train(tmp_path: Path, events: Path) -> None:
    data = tmp_path / "data"
    for split, seed in (("train", 0), ("validation", 100), ("test", 200)):
        images.write_class_folders(data / split, {"a": 3, "b": 3}, seed)
    leaked = images.encode(200)
    (data / "train/b/leak.jpg").write_bytes(leaked)
    outcome = run(data, tmp_path)
    assert "train/b/leak.jpg" not in outcome.where
    assert outcome.report["copies"] == [
        {"ids": ["test/a/0200.jpg", "train/b/leak.jpg"], "dropped": ["train/b/leak.jpg"]}
    ]
    assert outcome.report["contradictory_labels"] == [
        {"ids": ["test/a/0200.jpg", "train/b/leak.jpg"], "labels": ["a", "b"]}
    ]
    warned = warnings_in(events)
    assert "1 content has contradictory labels: test/a/0200.jpg" in warned
    assert "1 images were dropped" in warned


def test_manifest_with_groups_and_columns(tmp_path: Path) -> None:
    data = tmp_path / "data"
    paths = images.write_class_folders(data, {"x": 20, "y": 20})
    rows = [
        f"{path.relative_to(data)},{path.parent.name},patient {index // 2},s{index % 3}"
        for index, path in enumerate(paths)
    ]
    (data / "labels.csv").write_text("\n".join(["image,label,group,site", *rows]))
    outcome = run(data, tmp_path)
    groups: dict[str, set[str]] = {}
    for split, found in outcome.examples.items():
        for example in found:
            groups.setdefault(text(example, features.GROUP), set()).add(split)
            assert text(example, "site") in {"s0", "s1", "s2"}
    assert len(groups) == 20
    assert all(len(splits) == 1 for splits in groups.values())


def test_tfrecords_with_integer_labels(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with tf.io.TFRecordWriter(f"{data}/a.tfrecord.gz", "GZIP") as writer:
        for number in range(24):
            example = tf.train.Example()
            feature = example.features.feature
            feature["image"].bytes_list.value.append(images.encode(number))
            feature["label"].int64_list.value.append(7 if number == 23 else number % 2)
            feature["patient_id"].int64_list.value.append(number // 2)
            feature["age"].float_list.value.append(number)
            writer.write(example.SerializeToString())
    outcome = run(data, tmp_path, class_names=("benign", "malign"), fields={"group": "patient_id"})
    assert [(row["id"], row["reason"]) for row in outcome.rejected] == [
        ("a.tfrecord.gz#000023", "unknown_label")
    ]
    found = [example for split in outcome.examples.values() for example in split]
    assert {text(example, features.LABEL) for example in found} == {"benign", "malign"}
    assert {len(example.features.feature["age"].float_list.value) for example in found} == {1}
    assert "patient_id" not in found[0].features.feature


def test_too_many_images_set_aside_end_the_run(tmp_path: Path, events: Path) -> None:
    data = tmp_path / "data"
    images.write_class_folders(data, {"a": 9, "b": 9})
    (data / "a/bomb.png").write_bytes(images.png_bomb())
    (data / "b/scan.tiff").write_bytes(images.encode(file_format="TIFF"))
    with pytest.raises(DataError) as caught:
        run(data, tmp_path)
    message = str(caught.value)
    assert "2 images (10.0%) were set aside" in message
    assert "limit of 5.0%" in message
    assert "a/bomb.png: too_many_pixels, 20000 x 20000" in message
    assert "b/scan.tiff" in (events / "rejected.jsonl").read_text()
    assert {row["id"] for row in part_in(events).rejected} == {"a/bomb.png", "b/scan.tiff"}
    assert not list((tmp_path / "examples").rglob("data_tfrecord*"))


def test_an_image_that_changes_under_way_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = images.write_class_folders(tmp_path / "data", {"a": 12, "b": 12})
    divide = inspection_module.divide

    def divide_late(*args: Any) -> Any:
        paths[0].write_bytes(images.encode(1234))
        return divide(*args)

    monkeypatch.setattr(inspection_module, "divide", divide_late)
    with pytest.raises(DataError, match=r"1 images changed .*a/0000\.jpg"):
        run(tmp_path / "data", tmp_path)
    assert not list((tmp_path / "examples").rglob("data_tfrecord*"))


def test_one_class_that_is_left_is_refused(tmp_path: Path) -> None:
    images.write_class_folders(tmp_path / "one", {"a": 8, "b": 1})
    (tmp_path / "one/b/0008.jpg").write_text("no image")
    with pytest.raises(DataError, match="only one class, 'a'"):
        run(tmp_path / "one", tmp_path / "1", max_rejected_share=0.5)


def test_a_bucket_gives_what_a_folder_gives(s3: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for seed in range(24):
        path = data / ("cat" if seed % 2 else "dog") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.encode(seed, "PNG"))
    (data / "cat" / "broken.jpg").write_bytes(b"no image")
    open_store(s3).put(data, "data")
    local = run(data, tmp_path / "local")
    remote = run(f"{s3}/data", tmp_path / "remote")
    assert remote.examples == local.examples
    assert remote.rejected == local.rejected
    assert part_in(tmp_path / "remote/ingestion") == part_in(tmp_path / "local/ingestion")
    assert [row["reason"] for row in remote.rejected] == ["not_an_image"]


def test_records_in_a_bucket(s3: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for shard, options in {"a.tfrecord": "", "b.tfrecord.gz": "GZIP"}.items():
        with tf.io.TFRecordWriter(str(data / shard), options) as writer:
            for seed in range(8):
                example = tf.train.Example()
                feature = example.features.feature
                image = images.encode(seed + 8 * len(options), "PNG")
                feature["image"].bytes_list.value.append(image)
                feature["label"].int64_list.value.append(seed % 2)
                writer.write(example.SerializeToString())
    open_store(s3).put(data, "data")
    local = run(data, tmp_path / "local", class_names=["x", "y"])
    remote = run(f"{s3}/data", tmp_path / "remote", class_names=["x", "y"])
    assert sum(map(len, remote.examples.values())) == 16
    assert remote.examples == local.examples
    sample = part_in(tmp_path / "remote" / "ingestion").sample
    assert len(sample) == 16
    assert all(image.jpeg for image in sample)
    assert not (tmp_path / "remote" / "ingestion" / "scratch").exists()


def test_a_bucket_that_fails_ends_the_run_and_sets_nothing_aside(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3)
    for number in range(4):
        store.write_text(f"{number % 2}/{number}.jpg", "-")

    def fail(self: object, name: str) -> bytes:
        raise StoreError("the connection was lost")

    monkeypatch.setattr(type(store), "read_bytes", fail)
    with pytest.raises(Exception, match="connection was lost"):
        run(s3, tmp_path / "out")


def test_planted_faults_are_found_and_nothing_else(tmp_path: Path, events: Path) -> None:
    faults = planted.write(tmp_path / "data")
    outcome = run(tmp_path / "data", tmp_path)
    assert {row["id"]: row["reason"] for row in outcome.rejected} == faults.broken
    part = part_in(tmp_path / "ingestion")
    assert part == part_in(events)
    assert set(part.near_duplicate_ids) == faults.duplicates
    assert (part.across_splits, part.within_splits) == (20, 0)
    assert "20 pairs of images that look the same lie in different splits" in warnings_in(events)
    assert {row["id"] for row in part.rejected} == set(faults.broken)
    assert sum(part.rejected_by_reason.values()) == part.rejected_count == 10
    assert {split: sum(classes.values()) for split, classes in part.images.items()} == {
        "train": 180,
        "val": 70,
        "test": 70,
    }
    for histogram in (part.widths, part.heights, part.file_sizes, part.brightness):
        assert histogram is not None
        assert sum(histogram.counts) == 320
    shown = [image for pair in part.near_duplicates for image in (pair.first, pair.second)]
    assert [pair.first.split for pair in part.near_duplicates] == ["train"] * 20
    assert all(image.jpeg for image in (*shown, *part.sample))
    assert {image.label for image in part.sample} == set(part.images["train"])
    assert (tmp_path / "ingestion/report/data.json").stat().st_size < 700_000


def test_odd_labels_stay_as_they_are(tmp_path: Path) -> None:
    planted.write(tmp_path / "data", planted.ODD_LABELS)
    run(tmp_path / "data", tmp_path)
    part = part_in(tmp_path / "ingestion")
    assert set(part.images["train"]) == set(planted.ODD_LABELS)
    assert {image.label for image in part.sample} == set(planted.ODD_LABELS)


def test_a_group_mends_what_straddles(tmp_path: Path) -> None:
    data = tmp_path / "data"
    faults = planted.write(data, planted.ODD_LABELS)
    group = {id_: first for first, second in faults.duplicates for id_ in (first, second)}
    lines = (data / "labels.csv").read_text().splitlines()[1:]
    rows = [line.rpartition(",")[0] for line in lines]
    grouped = [f"{row},{group.get(row.partition(',')[0], '')}" for row in rows]
    (data / "labels.csv").write_text("\n".join(["image,label,group", *grouped]))
    run(data, tmp_path)
    part = part_in(tmp_path / "ingestion")
    assert (part.across_splits, part.within_splits) == (0, 20)
