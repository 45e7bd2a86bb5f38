import csv
from collections import Counter

import pytest

from components.errors import DataError
from pipeline import demo
from pipeline.options import effective_config
from pipeline.preflight import preflight


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    pytest.importorskip("elpv_dataset")
    from pipeline.layout import Output

    output = Output.at(tmp_path_factory.mktemp("demo"))
    demo.prepare(output)
    return output


def test_every_cell_has_a_label_a_type_and_an_image(prepared):
    folder = demo.dataset(prepared)
    with open(folder / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))

    assert Counter(row["label"] for row in rows) == {"functional": 1803, "defective": 821}
    assert Counter(row["cell_type"] for row in rows) == {"mono": 1074, "poly": 1550}
    assert all((folder / row["image"]).is_file() for row in rows)
    assert not list(prepared.scratch.iterdir())


def test_the_demos_configuration_fits_its_data(prepared):
    text = preflight(effective_config(demo.CONFIG), str(demo.dataset(prepared)), prepared)

    assert text.startswith("found 2624 images (csv)")


def test_without_the_package_the_mend_is_told(output, monkeypatch):
    monkeypatch.setattr(demo, "_PACKAGE", "elpv_dataset_not_installed")

    with pytest.raises(DataError, match=r"effnet-tfx\[demo\]"):
        demo.prepare(output)
