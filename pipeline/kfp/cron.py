"""Cron expressions: the usual five fields in, those of Kubeflow out."""

import datetime

from cronsim import CronSim, CronSimError

from components.errors import ConfigError

TIME_ZONE = (
    "in the time zone of the cluster's Kubeflow, which is UTC unless its administrator has set "
    "CRON_SCHEDULE_TIMEZONE"
)
_FIELDS = 5
_WEEK = 7


def to_kubeflow(cron: str) -> str:
    """Returns a cron expression as KFP has it: with seconds first, and Sunday as 0 only.

    Args:
        cron: minute, hour, day of the month, month, day of the week.

    Raises:
        ConfigError: if it is none, or one that KFP doesn't know.
    """
    parts = cron.upper().split()
    if len(parts) != _FIELDS:
        raise ConfigError(
            f"--cron takes five fields (minute, hour, day of the month, month, day of the week), "
            f"received '{cron}', which has {len(parts)}; e.g. '0 3 * * 1': Mondays at 3:00"
        )
    found = _parsed(cron)
    if "#" in parts[-1] or "L" in parts[-1] or min(found.days) < 0:
        raise ConfigError(
            f"--cron '{cron}': Kubeflow knows neither L nor #; take days by their number"
        )
    return " ".join(["0", *parts[:-1], _with_sunday_first(parts[-1])])


def _with_sunday_first(weekdays: str) -> str:
    """Writes Sunday as 0, also as the end of a range; a * stays, as it means more than all days."""
    items = weekdays.split(",")
    stars = [item for item in items if item.startswith("*")]
    others = [item for item in items if item not in stars]
    days = _parsed(f"0 0 * * {','.join(others)}").weekdays if others else set()
    if _WEEK not in days:
        return weekdays
    return ",".join([*stars, *(str(day) for day in range(_WEEK) if {day, day or _WEEK} & days)])


def from_kubeflow(cron: str) -> str:
    """Returns the five fields of one of KFP's expressions, if its seconds are 0."""
    return cron.removeprefix("0 ") if len(cron.split()) == _FIELDS + 1 else cron


def next_time(cron: str) -> datetime.datetime:
    """Returns when an expression of five fields is met next, if the cluster goes by UTC."""
    return next(_parsed(cron))


def _parsed(cron: str) -> CronSim:
    now = datetime.datetime.now(datetime.UTC)
    try:
        next(CronSim(cron, now))
        return CronSim(cron, now)
    except (CronSimError, StopIteration) as error:
        problem = str(error) or "that date never comes"
        raise ConfigError(
            f"--cron '{cron}': {problem[0].lower()}{problem[1:]}; the fields are minute (0-59), "
            "hour (0-23), day of the month (1-31), month (1-12) and day of the week (0-6 from "
            "Sunday), each *, a number, a range A-B, a list A,B or a step */N"
        ) from None
