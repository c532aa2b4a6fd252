"""Schedule expressions as PURISTA writes them: ``cron``, ``interval`` and ``oneShot``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from purista_celery.contracts.schedule import Cron, Interval, OneShot, ScheduleExpression
from purista_celery.errors import (
    InvalidCron,
    InvalidInterval,
    InvalidOneShot,
    InvalidSchedule,
    InvalidTimezone,
)
from purista_celery.messages.envelope import iso_milliseconds

MILLISECOND = timedelta(milliseconds=1)


def write_expression(expression: ScheduleExpression) -> dict[str, Any]:
    """Return the manifest's form, keys sorted."""
    match expression:
        case Cron():
            return {
                "kind": "cron",
                "timezone": expression.timezone,
                "value": expression.expression,
            }
        case Interval():
            return {"everyMs": milliseconds(expression.every), "kind": "interval"}
        case OneShot():
            return {"kind": "oneShot", "runAt": iso_milliseconds(expression.at)}


def read_expression(
    schedule: str, data: Mapping[str, Any], timezone: str | None
) -> ScheduleExpression:
    """Read the manifest's form.

    Args:
        schedule: the schedule's name, for errors.
        timezone: the schedule's own zone, if it names one besides the expression's.

    Raises:
        InvalidSchedule: it is malformed; the subclass and its code say in which way.
    """
    match data:
        case {"kind": "cron", "value": str(value)}:
            return Cron(value, timezone=_zone(schedule, data.get("timezone"), timezone))
        case {"kind": "cron"}:
            raise InvalidCron(f"Schedule {schedule!r}: expression.value is not a text.")
        case {"kind": "interval", **rest}:
            return _read_interval(schedule, rest.get("everyMs"))
        case {"kind": "oneShot", **rest}:
            return _read_one_shot(schedule, rest.get("runAt"))
    raise InvalidSchedule(
        f"Schedule {schedule!r}: expression.kind is none of cron, interval, oneShot."
    )


def _zone(schedule: str, inner: Any, outer: str | None) -> str:
    if not isinstance(inner, str | None):
        raise InvalidTimezone(f"Schedule {schedule!r}: expression.timezone is not a text.")
    if inner is not None and outer is not None and inner != outer:
        raise InvalidTimezone(
            f"Schedule {schedule!r}: expression.timezone {inner!r} and timezone {outer!r} differ; "
            f"keep one."
        )
    return inner or outer or "UTC"


def milliseconds(span: timedelta | None) -> int | None:
    """Return a span in whole milliseconds, as JavaScript counts."""
    return None if span is None else span // MILLISECOND


def _read_interval(name: str, every: Any) -> Interval:
    if isinstance(every, bool) or not isinstance(every, int | float) or every != every // 1:
        raise InvalidInterval(f"Schedule {name!r}: everyMs is not a whole number of milliseconds.")
    try:
        return Interval(int(every) * MILLISECOND)
    except OverflowError as error:
        raise InvalidInterval(f"Schedule {name!r}: everyMs is too large.") from error


def _read_one_shot(name: str, run_at: Any) -> OneShot:
    try:
        if isinstance(run_at, str):
            return OneShot(datetime.fromisoformat(run_at))
        if isinstance(run_at, int | float) and not isinstance(run_at, bool):
            return OneShot(datetime.fromtimestamp(run_at / 1000, UTC))
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidOneShot(f"Schedule {name!r}: runAt is no instant: {error}.") from error
    raise InvalidOneShot(
        f"Schedule {name!r}: runAt is neither an ISO 8601 text nor milliseconds since the epoch."
    )
