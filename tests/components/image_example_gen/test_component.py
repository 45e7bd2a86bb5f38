import os
from pathlib import Path

import pytest
from tfx.orchestration.portable import data_types

from components.errors import DataError
from components.image_example_gen.component import ImageExampleGen
from components.image_example_gen.config import DataConfig, SplitsConfig
from components.image_example_gen.driver import Driver
from tests import images


def _drive(component: ImageExampleGen) -> dict[str, object]:
    info = data_types.ExecutionInfo(exec_properties=dict(component.exec_properties))
    driver = component.driver_class(None)
    return {
        name: getattr(value, value.WhichOneof("value"))
        for name, value in driver.run(info).exec_properties.items()
    }


def test_the_driver_knows_when_data_changes(tmp_path: Path) -> None:
    images.write_class_folders(tmp_path / "2026-11-17", {"a": 2, "b": 2})
    component = ImageExampleGen(f"{tmp_path}/{{DATE}}", DataConfig(), SplitsConfig(), "digest")
    assert component.driver_class is Driver
    first = _drive(component)
    assert (first["span_name"], first["root"]) == ("2026-11-17", f"{tmp_path}/2026-11-17")
    assert first == _drive(component)
    os.utime(tmp_path / "2026-11-17/a/0000.jpg", ns=(1, 1))
    touched = _drive(component)
    images.write_class_folders(tmp_path / "2026-11-24", {"a": 2, "b": 2})
    newer = _drive(component)
    assert newer["span"] == touched["span"] + 7  # type: ignore[operator]
    prints = {found["input_fingerprint"] for found in (first, touched, newer)}
    assert len(prints) == 3


def test_the_driver_refuses_what_cannot_be_trained_on(tmp_path: Path) -> None:
    images.write_class_folders(tmp_path, {"a": 2})
    with pytest.raises(DataError, match="only one class"):
        _drive(ImageExampleGen(str(tmp_path), DataConfig(), SplitsConfig(), ""))
