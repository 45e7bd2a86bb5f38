import datetime

import pytest

from components.errors import ConfigError
from pipeline.kfp.cron import from_kubeflow, next_time, to_kubeflow


@pytest.mark.parametrize(
    ("cron", "kubeflow"),
    [
        ("0 3 * * 1", "0 0 3 * * 1"),
        ("*/15 6-18 1,15 jan-jun mon-fri", "0 */15 6-18 1,15 JAN-JUN MON-FRI"),
        # Kubeflow's Sunday is 0 only.
        ("0 3 * * 7", "0 0 3 * * 0"),
        ("0 3 * * 5-7", "0 0 3 * * 0,5,6"),
        ("0 3 * * sat/1", "0 0 3 * * 0,6"),
        ("0 3 1 * */2,5-7", "0 0 3 1 * */2,0,5,6"),
        ("0 3 * * */2", "0 0 3 * * */2"),
        ("  0   3 29 2 * ", "0 0 3 29 2 *"),
    ],
)
def test_five_fields_become_six(cron, kubeflow):
    assert to_kubeflow(cron) == kubeflow
    assert from_kubeflow(kubeflow) == kubeflow.removeprefix("0 ")


@pytest.mark.parametrize(
    ("cron", "told"),
    [
        ("0 0 3 * * 1", "takes five fields.*which has 6"),
        ("", "which has 0"),
        ("@daily", "which has 1"),
        ("61 3 * * 1", "'61 3 .*: bad minute; the fields are minute"),
        ("0 24 * * 1", "bad hour"),
        ("0 3 0 * *", "bad day-of-month"),
        ("0 3 * 13 *", "bad month"),
        ("0 3 * * 8", "bad day-of-week"),
        ("0 3 * * fri-mon", "bad day-of-week"),
        ("*/0 3 * * *", "bad minute"),
        ("0 3 31 2 *", "bad day-of-month"),
        ("0 3 L * *", "neither L nor #"),
        ("0 3 * * 1#2", "neither L nor #"),
        ("0 3 * * 5L", "neither L nor #"),
    ],
)
def test_what_kubeflow_could_not_take_is_told(cron, told):
    with pytest.raises(ConfigError, match=told):
        to_kubeflow(cron)


def test_the_next_time_is_told():
    found = next_time("0 3 * * 1")
    now = datetime.datetime.now(datetime.UTC)
    assert (found.weekday(), found.hour, found.minute) == (0, 3, 0)
    assert now < found <= now + datetime.timedelta(days=7)
