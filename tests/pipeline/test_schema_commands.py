import pytest

from components.data_check.record import Check
from components.errors import ConfigError, DataError
from components.store import open_store
from pipeline import schema_commands
from pipeline.config import PipelineConfig

REFERENCE = """
feature { name: "label" type: BYTES domain: "labels" }
string_domain { name: "labels" value: "hat" }
"""


@pytest.fixture
def checked(tmp_path):
    """An output in which the newest of three runs ended before its data was checked."""
    for day, image in (("20", "cap"), ("21", "scarf")):
        run = tmp_path / f"runs/202611{day}-030000-abcd"
        run.mkdir(parents=True)
        check = Check(images={"train": {"hat": 9, image: 9}}, reference=REFERENCE, anomalies=())
        check.leave(run, f"followed by {image}")
    (tmp_path / "runs/20261122-030000-abcd").mkdir()
    return open_store(str(tmp_path))


def test_the_last_run_that_was_checked_counts(checked):
    config = PipelineConfig.parse({"serving": {"model_name": "hats"}})

    (line,) = schema_commands.diff(checked, config)

    assert line.startswith("never seen before: 'scarf'")
    written = schema_commands.accept(checked, config)
    assert written == f"{checked.address}/schema/hats.pbtxt"
    assert checked.child("schema").read_text("hats.pbtxt") == "followed by scarf"


def test_an_output_without_such_a_run_is_told(tmp_path):
    with pytest.raises(DataError, match="has checked its data yet; run 'effnet run'"):
        schema_commands.diff(open_store(str(tmp_path)), PipelineConfig())


def test_a_curated_schema_is_not_accepted_over(checked):
    config = PipelineConfig.parse({"schema": {"path": "/mine.pbtxt"}})
    with pytest.raises(ConfigError, match="edit that file, or remove the setting"):
        schema_commands.accept(checked, config)
