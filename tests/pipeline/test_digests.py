"""What must change a node's cache key changes the digest, and nothing else does."""

from components.store import open_store
from pipeline import digests
from pipeline.digests import code_digest, file_digest, trained_by
from pipeline.options import effective_config


def test_a_files_digest_is_that_of_its_content(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(b"one")
    first = file_digest(str(path))
    path.write_bytes(b"two")
    assert len({first, file_digest(str(path)), file_digest("imagenet")}) == 3
    assert file_digest("") == ""


def test_a_file_in_a_bucket_has_the_digest_of_its_copy(s3, tmp_path):
    (tmp_path / "schema.pbtxt").write_text("feature {}")
    open_store(s3).put(tmp_path, "schema")
    assert file_digest(f"{s3}/schema/schema.pbtxt") == file_digest(str(tmp_path / "schema.pbtxt"))


def test_other_code_and_other_libraries_have_another_digest(monkeypatch):
    one = code_digest("components.features")
    assert one == code_digest("components.features")
    assert one != code_digest("components.features", "components.image_ops")
    # A package's digest covers its modules.
    assert code_digest("components.pusher") != code_digest("components.evaluator")
    monkeypatch.setattr(digests, "library_versions", lambda: {"keras": "other"})
    assert one != code_digest("components.features")


def test_what_a_model_is_trained_by_is_told_by_setting_and_by_weights(tmp_path):
    weights = tmp_path / "weights.h5"
    weights.write_bytes(b"one")
    config = effective_config(sets=[f"trainer.weights={weights}", "trainer.seed=3"])
    found = trained_by(config)
    assert found["settings"]["trainer.seed"] == 3
    assert found["settings"]["transform.resize"] == config.transform.resize
    assert not any("gate" in name for name in found["settings"])
    weights.write_bytes(b"two")
    assert trained_by(config)["code"] != found["code"]
