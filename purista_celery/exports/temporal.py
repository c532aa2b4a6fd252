"""Schedules as Temporal schedule descriptions: what ``CreateScheduleRequest`` carries, as JSON.

Field for field the JSON form of ``temporal.api.workflowservice.v1.CreateScheduleRequest``, so that
any SDK can read it: ``google.protobuf.json_format.ParseDict(entry, CreateScheduleRequest())``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import Any

from purista_celery.contracts.schedule import Cron, Interval, OneShot, Schedule
from purista_celery.exports.dialect import numbered_weekdays

_OVERLAP = {
    "allow": "SCHEDULE_OVERLAP_POLICY_ALLOW_ALL",
    "forbid": "SCHEDULE_OVERLAP_POLICY_SKIP",
    "replace": "SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER",
}
#: How far back an outage of Temporal's server is made up for.
_CATCH_UP = {
    "skip": timedelta(seconds=10),
    "runOnce": timedelta(days=1),
    "backfill": timedelta(days=365),
}


def temporal_schedules(
    schedules: Iterable[Schedule],
    *,
    task_queue: str,
    workflow_type: str = "purista.fire",
    namespace: str = "default",
) -> list[dict[str, Any]]:
    """Return one ``CreateScheduleRequest`` per schedule, sorted by key.

    Args:
        workflow_type: a workflow of the user's own that runs ``purista fire`` with its two
            arguments: the schedule's key, and the instant that Temporal puts into
            ``TemporalScheduledStartTime``.

    Raises:
        UnsupportedExpression: a schedule can not be said as a Temporal specification.
    """
    ordered = sorted(schedules, key=lambda schedule: schedule.key)
    return [_request(s, task_queue, workflow_type, namespace) for s in ordered]


def _request(
    schedule: Schedule, task_queue: str, workflow_type: str, namespace: str
) -> dict[str, Any]:
    identity = f"purista/{schedule.key}"
    workflow = {
        "workflowId": identity,
        "workflowType": {"name": workflow_type},
        "taskQueue": {"name": task_queue},
        "input": {"payloads": [_payload(schedule.key)]},
    }
    return {
        "namespace": namespace,
        "scheduleId": identity,
        "schedule": {
            "spec": _spec(schedule),
            "action": {"startWorkflow": workflow},
            "policies": {
                "overlapPolicy": _OVERLAP[schedule.concurrency],
                "catchupWindow": _seconds(_CATCH_UP[schedule.missed_runs]),
            },
            "state": {"paused": not schedule.enabled, "notes": schedule.description},
        },
        "identity": "purista-celery",
        "requestId": identity,
    }


def _spec(schedule: Schedule) -> dict[str, Any]:
    jitter = {} if schedule.jitter_window is None else {"jitter": _seconds(schedule.jitter_window)}
    match schedule.expression:
        case Cron() as cron:
            text = numbered_weekdays(schedule, cron, "a Temporal schedule")
            return {"cronString": _cron_strings(text), "timezoneName": cron.timezone, **jitter}
        case Interval(every):
            # Temporal aligns intervals to the epoch too.
            return {"interval": [{"interval": _seconds(every)}], **jitter}
        case OneShot(at):
            moment = at.astimezone(UTC)
            fields = ("second", "minute", "hour", "month", "year")
            once = {name: [{"start": getattr(moment, name)}] for name in fields}
            once["dayOfMonth"] = [{"start": moment.day}]
            return {"structuredCalendar": [once], "timezoneName": "UTC", **jitter}


def _cron_strings(text: str) -> list[str]:
    """Return expressions of which any may match, each with all its fields.

    Cron runs on either of them where both are restricted; Temporal's API says that it does not.
    """
    minute, hour, day, month, weekday = text.split()
    if day.startswith("*") or weekday.startswith("*"):
        return [text]
    return [f"{minute} {hour} {day} {month} *", f"{minute} {hour} * {month} {weekday}"]


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.3f}".rstrip("0").rstrip(".") + "s"


def _payload(value: Any) -> dict[str, Any]:
    encoded = {"encoding": base64.b64encode(b"json/plain").decode()}
    return {"metadata": encoded, "data": base64.b64encode(json.dumps(value).encode()).decode()}
