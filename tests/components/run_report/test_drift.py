import pytest

from components.run_report import drift
from components.run_report.parts import DataPart, Histogram


def data(images, counts=(50, 50)):
    brightness = Histogram(edges=(0.0, 0.5, 1.0), counts=counts)
    return DataPart(layout="folders", images={"train": images}, brightness=brightness)


def test_the_same_data_have_not_moved():
    found = drift.shifts(data({"a": 30, "b": 70}), data({"a": 30, "b": 70}))
    assert [(shift.distance, shift.word) for shift in found] == [(0.0, "none")] * 2


def test_another_mix_of_classes_is_told_by_its_distance():
    before, now = data({"a": 900, "b": 100}), data({"a": 100, "b": 900})
    shift = drift.shifts(before, now)[0]
    assert shift.distance == pytest.approx(0.7287, abs=1e-3)
    assert shift.word == "marked"


def test_what_chance_explains_is_no_drift():
    few = drift.shifts(data({"a": 3, "b": 2}), data({"a": 2, "b": 3}))[0]
    assert few.distance > 0.1
    assert few.word == "none"


def test_classes_come_and_go():
    rows = drift.class_shifts(data({"a": 50, "b": 50}), data({"b": 50, "c": 150}))
    assert [(row.label, row.before, row.now) for row in rows] == [
        ("c", None, 0.75),
        ("a", 0.5, None),
        ("b", 0.5, 0.25),
    ]


def test_histograms_of_other_edges_are_not_compared():
    other = DataPart(
        layout="folders",
        images={},
        brightness=Histogram(edges=(0.0, 0.25, 1.0), counts=(50, 50)),
    )
    assert drift.shifts(data({}), other) == []
