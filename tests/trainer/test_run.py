import json

import numpy as np
import tensorflow as tf

from components import features, run_events
from components.model_versions import read_training
from components.run_report.parts import FOLDER, TrainingPart
from trainer import run


def test_trains_exports_and_tells(transformed, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setenv(run_events.RUN_DIR_VARIABLE, str(tmp_path))
    fn_args = transformed.fn_args(tmp_path, tiny_config)
    run.run_fn(fn_args)

    facts = read_training(tmp_path / "model/Format-Serving")
    assert sorted(facts["classes"]) == ["blue", "green", "red"]
    assert facts["images"] == {"train": 24, "val": 6}
    assert [len(stage["history"]) for stage in facts["stages"]] == [2, 1]
    events = [json.loads(line) for line in (tmp_path / run_events.EVENTS_FILE).open()]
    assert [event["stage"] for event in events if event["event"] == "epoch"] == [
        "head",
        "head",
        "top_blocks",
    ]
    assert events[0]["what"] == "activations"
    logs = sorted(path.parent for path in (tmp_path / "run" / run.LOGS_FOLDER).rglob("*tfevents*"))
    assert {log.relative_to(tmp_path / "run" / run.LOGS_FOLDER).as_posix() for log in logs} == {
        f"{stage}/{split}" for stage in ("0-head", "1-top_blocks") for split in ("train", "val")
    }
    assert not (tmp_path / "checkpoints").exists() or not any((tmp_path / "checkpoints").iterdir())

    left = tmp_path / "run" / FOLDER / TrainingPart.file()
    part = TrainingPart.parse(left.read_text())
    assert [(curve.stage, len(curve.val_loss)) for curve in part.curves] == [
        ("head", 2),
        ("top_blocks", 1),
    ]
    assert part.label_issues.judged == 30
    assert (tmp_path / FOLDER / TrainingPart.file()).read_bytes() == left.read_bytes()
    # No training image is pushed.
    assert not list((tmp_path / "model").rglob(FOLDER))

    model = tf.saved_model.load(fn_args.serving_model_dir)
    png = tf.io.encode_png(np.zeros((20, 30, 3), np.uint8))
    jpeg = tf.io.encode_jpeg(np.full((50, 20, 3), 200, np.uint8))
    serve = model.signatures[features.SERVING_SIGNATURE]
    both = serve(image=tf.stack([png, jpeg]))
    assert both[features.PROBABILITIES].shape == (2, 3)
    np.testing.assert_allclose(tf.reduce_sum(both[features.PROBABILITIES], 1), [1, 1], 1e-5)
    assert both[features.PREDICTED_LABEL].numpy()[0].decode() in facts["classes"]
    np.testing.assert_allclose(both[features.SCORE], tf.reduce_max(both[features.PROBABILITIES], 1))
    alone = serve(image=jpeg[tf.newaxis])
    np.testing.assert_allclose(
        alone[features.PROBABILITIES][0], both[features.PROBABILITIES][1], atol=1e-6
    )
    none = serve(image=tf.constant([], tf.string))
    assert none[features.PROBABILITIES].shape == (0, 3)
