import threading

import pytest

from trainer.ahead import ahead


def test_values_come_in_their_order_each_made_while_another_is_in_use():
    made = threading.Semaphore(0)

    def values():
        for number in range(5):
            yield number
            made.release()

    got = []
    for value in ahead(values()):
        assert made.acquire(timeout=10)  # the next one is being made
        got.append(value)
    assert got == [0, 1, 2, 3, 4]


def test_an_error_comes_where_the_value_would():
    def values():
        yield 1
        raise OSError("no space left")

    got = []
    with pytest.raises(OSError, match="no space left"):
        got.extend(ahead(values()))
    assert list(ahead([])) == []


def test_whoever_stops_early_leaves_no_thread_behind():
    before = threading.active_count()
    values = ahead(iter(range(1000)))
    assert next(values) == 0
    values.close()
    for thread in threading.enumerate()[before:]:
        thread.join(timeout=10)
    assert threading.active_count() == before
