"""Schedules as an Airflow DAG file: a DAG each, whose only task fires the schedule from outside."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from typing import Any

from purista_celery.contracts.schedule import Cron, Interval, OneShot, Schedule
from purista_celery.exports.dialect import interval_fields, numbered_weekdays
from purista_celery.messages.envelope import iso_milliseconds

_FILE = '''\
"""Fires schedules of purista-celery from Airflow. Generated; change the contracts instead.

A run stands for the occurrence that it is scheduled for, so that a task that is tried again, or
cleared, is the same event again. PURISTA_* of the application must be in the workers' environment.
"""

import json
from datetime import datetime, timedelta

try:  # Airflow 3
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
    from airflow.operators.bash import BashOperator
try:  # Airflow 3
    from airflow.sdk import CronTriggerTimetable
except ImportError:
    from airflow.timetables.trigger import CronTriggerTimetable

SCHEDULES = json.loads(
    r"""
{schedules}
"""
)


def timetable(schedule):
    if "cron" in schedule:
        return CronTriggerTimetable(schedule["cron"], timezone=schedule["timezone"])
    return "@once"


for _schedule in SCHEDULES:
    with DAG(
        dag_id=_schedule["dagId"],
        description=_schedule["description"],
        schedule=timetable(_schedule),
        start_date=datetime.fromisoformat(_schedule["startDate"]),
        catchup=_schedule["catchup"],
        max_active_runs=_schedule["maxActiveRuns"],
        is_paused_upon_creation=_schedule["paused"],
        tags=["purista", *_schedule["tags"]],
    ) as _dag:
        BashOperator(
            task_id="fire",
            bash_command=_schedule["command"],
            append_env=True,
            retries=3,
            retry_delay=timedelta(seconds=30),
        )
    globals()[_schedule["dagId"]] = _dag
'''


def airflow_dags(
    schedules: Iterable[Schedule],
    *,
    command: Iterable[str] = ("celery", "-A", "purista_celery.worker", "purista", "fire"),
    start_date: str = "2024-01-01T00:00:00+00:00",
) -> str:
    """Return a DAG file, for Airflow 2.11 and 3.

    Args:
        command: what fires a schedule; its key and ``--at`` the run's instant are appended.
        start_date: ISO 8601; no run stands for an earlier occurrence.

    Raises:
        UnsupportedExpression: a schedule can not be said as an Airflow timetable.
    """
    words = shlex.join(command)
    ordered = sorted(schedules, key=lambda schedule: schedule.key)
    entries = [_entry(schedule, words, start_date) for schedule in ordered]
    # Within a raw text of three quotes: none of them may end it.
    text = json.dumps(entries, indent=2).replace('"""', r"\u0022\u0022\u0022")
    return _FILE.replace("{schedules}", text)


def _entry(schedule: Schedule, command: str, start_date: str) -> dict[str, Any]:
    when, start = _when(schedule, start_date)
    at = "{{ (logical_date or data_interval_end or run_after).isoformat() }}"
    return {
        "dagId": re.sub(r"[^A-Za-z0-9_.\-]", ".", f"purista.{schedule.key}"),
        "description": schedule.description,
        "startDate": start,
        "catchup": schedule.missed_runs == "backfill",
        "maxActiveRuns": 16 if schedule.concurrency == "allow" else 1,
        "paused": not schedule.enabled,
        "tags": [schedule.service_name, schedule.group],
        "command": f"{command} {shlex.quote(schedule.key)} --at '{at}'",
        **when,
    }


def _when(schedule: Schedule, start_date: str) -> tuple[dict[str, Any], str]:
    match schedule.expression:
        case Cron() as cron:
            text = numbered_weekdays(schedule, cron, "an Airflow DAG")
            return {"cron": text, "timezone": cron.timezone}, start_date
        case Interval(every):
            text = interval_fields(schedule, every, "an Airflow DAG")
            return {"cron": text, "timezone": "UTC"}, start_date
        case OneShot(at):
            return {}, iso_milliseconds(at).replace("Z", "+00:00")
