"""Distances as TFDV measures them, of what two sets of images have in common."""

import pytest

from components.retrain_check.drift import distances
from components.retrain_check.statistics import train_statistics
from tests.statistics_of import statistics_of


def test_only_what_both_have_in_the_same_form_is_compared(tmp_path):
    names = [f"{n}.jpg" for n in range(100)]
    now = statistics_of(
        tmp_path / "now", id=names, site=["a", "b"] * 50, age=list(range(100)), dose=["1"] * 100
    )
    before = statistics_of(
        tmp_path / "before",
        id=names[::-1],
        age=list(range(50)) * 2,
        dose=[1] * 100,
        width=[7] * 100,
    )
    found = distances(train_statistics(now), train_statistics(before))
    assert set(found) == {"age"}
    assert 0.2 < found["age"] <= 1
    assert set(distances(train_statistics(now), train_statistics(now)).values()) == {0}


def test_the_distance_of_words_is_the_greatest_change_of_a_share(tmp_path):
    now = statistics_of(tmp_path / "now", site=["a"] * 70 + ["b"] * 20 + ["c"] * 10)
    before = statistics_of(tmp_path / "before", site=["a"] * 40 + ["b"] * 50 + ["d"] * 10)
    found = distances(train_statistics(now), train_statistics(before))
    assert found == {"site": pytest.approx(0.3)}
