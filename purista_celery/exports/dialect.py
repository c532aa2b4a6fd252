"""What other schedulers read of a cron expression: fewer than cronsim's forms, and never less said.

What a scheduler would read in another way is refused by name: it must not fire at other times.
"""

from __future__ import annotations

import re
from datetime import timedelta

from purista_celery.contracts.schedule import Cron, Schedule
from purista_celery.errors import UnsupportedExpression

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = (
    *("JAN", "FEB", "MAR", "APR", "MAY", "JUN"),
    *("JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
)
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def refuse(schedule: Schedule, reader: str, expected: str) -> UnsupportedExpression:
    """Return the error that ``reader`` can not fire ``schedule``."""
    return UnsupportedExpression(
        f"Schedule {schedule.key!r} can not be {reader}: expected {expected}. Fire it with beat."
    )


def numbered_weekdays(schedule: Schedule, cron: Cron, reader: str) -> str:
    """Return the expression with numbers for names and Sunday as 0, as every cron reads it.

    Raises:
        UnsupportedExpression: it holds ``L`` or ``#``, which are not every cron's, or more than a
            star, such as ``*/2``, in a day field beside another that is not ``*``: to Debian's cron
            both must match then, and to others either.
    """
    minute, hour, day, month, weekday = cron.expression.upper().split()
    if re.search(r"[L#]", day + weekday.replace("JUL", "")):
        raise refuse(schedule, reader, "no L or # in the day fields")
    if _ambiguous(day, weekday) or _ambiguous(weekday, day):
        raise refuse(schedule, reader, "plain * in one of the day fields, or * in none")
    month = _numbered(month, {name: n for n, name in enumerate(_MONTHS, 1)})
    weekday = _numbered(weekday, {name: n for n, name in enumerate(_DAYS)})
    if "7" in re.split(r"\D", weekday.split("/")[0]):
        weekday = _without_seven(schedule, weekday, reader)
    return " ".join((minute, hour, day, month, weekday))


def interval_fields(schedule: Schedule, every: timedelta, reader: str) -> str:
    """Return a cron expression in UTC for an interval that is aligned to the epoch.

    Raises:
        UnsupportedExpression: it does not divide an hour or a day.
    """
    if every % _MINUTE == timedelta(0) and every < _HOUR and _HOUR % every == timedelta(0):
        return "* * * * *" if every == _MINUTE else f"*/{every // _MINUTE} * * * *"
    if every % _HOUR == timedelta(0) and _DAY % every == timedelta(0):
        hours = every // _HOUR
        return "0 * * * *" if hours == 1 else "0 0 * * *" if hours == 24 else f"0 */{hours} * * *"
    raise refuse(schedule, reader, "an interval of whole minutes that divides an hour or a day")


def _ambiguous(one: str, other: str) -> bool:
    return one.startswith("*") and "*" not in (one, other)


def _numbered(text: str, names: dict[str, int]) -> str:
    return re.sub(r"[A-Z]+", lambda found: str(names.get(found[0], found[0])), text)


def _without_seven(schedule: Schedule, weekday: str, reader: str) -> str:
    days: list[int] = []
    for part in weekday.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if not first.isdigit():
            raise refuse(schedule, reader, "weekdays as numbers or names")
        days += range(int(first), int(last or first) + 1, int(step or 1))
    return ",".join(str(day) for day in sorted({day % 7 for day in days}))
