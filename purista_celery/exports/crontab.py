"""Schedules as a crontab file: one line each, which fires one schedule from outside.

Debian's and vixie's cron have no time zone per line; ``CRON_TZ`` before a line is cronie's and
systemd-cron's. Where clocks change, that cron's rule holds, not ours.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from purista_celery.contracts.schedule import Cron, Interval, Schedule
from purista_celery.exports.dialect import interval_fields, numbered_weekdays, refuse

_READER = "a line of a crontab"


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What a line runs; the schedule's key is appended."""

    words: Sequence[str] = ("celery", "-A", "purista_celery.worker", "purista", "fire")
    #: Only in system crontabs (``/etc/cron.d``), which have a column for it.
    user: str | None = None


def crontab(schedules: Iterable[Schedule], command: Command | None = None) -> str:
    """Return the file. Disabled schedules are comments.

    Raises:
        UnsupportedExpression: a schedule can not be said in a crontab.
    """
    command = command or Command()
    ordered = sorted(schedules, key=lambda schedule: (_zone(schedule), schedule.key))
    lines = ["# Fires schedules of purista-celery from outside. CRON_TZ is cronie's."]
    for zone, members in groupby(ordered, key=_zone):
        lines += ["", f"CRON_TZ={zone}"]
        for schedule in members:
            lines += _lines(schedule, command)
    return "\n".join(lines) + "\n"


def _lines(schedule: Schedule, command: Command) -> list[str]:
    words = shlex.join([*command.words, schedule.key]).replace("%", r"\%")
    user = f"{command.user} " if command.user else ""
    line = f"{_five_fields(schedule)} {user}{words}"
    described = " ".join(schedule.description.split())
    return [
        *([f"# {schedule.key}: {described}"] if described else []),
        line if schedule.enabled else f"# disabled: {line}",
    ]


def _zone(schedule: Schedule) -> str:
    cron = schedule.expression
    return cron.timezone if isinstance(cron, Cron) else "UTC"


def _five_fields(schedule: Schedule) -> str:
    match schedule.expression:
        case Cron() as cron:
            return numbered_weekdays(schedule, cron, _READER)
        case Interval(every):
            return interval_fields(schedule, every, _READER)
    raise refuse(schedule, _READER, "a cron expression or an interval")
