"""The schedule manifest: what beat fires, as JSON, without any business code.

The form is PURISTA's ``exportScheduleManifest``: keys sorted, fields without a value left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from pydantic import Field, ValidationError

from purista_celery.contracts import names
from purista_celery.contracts.expression import (
    MILLISECOND,
    milliseconds,
    read_expression,
    write_expression,
)
from purista_celery.contracts.schedule import (
    ConcurrencyPolicy,
    Cron,
    FixedJob,
    MissedRunPolicy,
    Schedule,
    TargetKind,
)
from purista_celery.contracts.service import Service
from purista_celery.errors import (
    ContractError,
    InvalidSchedule,
    UnsupportedPayload,
    UnsupportedTarget,
)
from purista_celery.exports.document import given, ordered
from purista_celery.messages.wire import WireModel, explain


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry of a manifest that can not be fired, and why."""

    #: ``<service>/<version>/<name>`` as far as the entry says it.
    key: str
    error: InvalidSchedule


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that has been read: each entry is in one of the two."""

    schedules: tuple[Schedule, ...] = ()
    rejected: tuple[Rejected, ...] = field(default=())
    #: Names the application that it was exported from, if it was given one.
    title: str | None = None


class _Job(WireModel):
    payload: Any = None
    parameter: Any = None
    max_attempts: int = Field(default=10, ge=1)
    priority: int | None = Field(default=None, ge=0, le=9)


class _Hints(WireModel):
    """What PURISTA's manifest has no field for."""

    job: _Job | None = None


class _Entry(WireModel):
    name: str
    target_kind: str
    target_name: str
    target_service_name: str = "unknown"
    target_service_version: str = "unknown"
    description: str = ""
    expression: dict[str, Any]
    timezone: str | None = None
    concurrency_policy: ConcurrencyPolicy = "allow"
    missed_run_policy: MissedRunPolicy = "skip"
    max_catch_up_count: int | None = Field(default=None, ge=1)
    jitter_window_ms: int | None = Field(default=None, ge=0, le=10**13)  # more is no timedelta
    scheduler_group: str = "default"
    enabled_by_default: bool = True
    payload_schema: Any = None
    provider_hints: _Hints = Field(default_factory=_Hints)


def schedule_manifest(
    services: Iterable[Service], title: str | None = None, version: str = "1"
) -> dict[str, Any]:
    """Return the manifest of all schedules that ``services`` declare, sorted by name."""
    schedules = [schedule for service in services for schedule in service.schedules.values()]
    entries = sorted(schedules, key=lambda schedule: (schedule.name, schedule.key))
    manifest = {"schedules": [write_entry(entry) for entry in entries], "version": version}
    return dict(ordered(manifest if title is None else {**manifest, "title": title}))


def write_entry(schedule: Schedule) -> dict[str, Any]:
    """Return the manifest's entry for one schedule."""
    return dict(ordered(entry_fields(schedule)))


def entry_fields(schedule: Schedule) -> dict[str, Any]:
    """Return the fields of a manifest's entry, in no order."""
    cron = schedule.expression if isinstance(schedule.expression, Cron) else None
    return given(
        concurrencyPolicy=schedule.concurrency,
        description=schedule.description or None,
        enabledByDefault=schedule.enabled,
        expression=write_expression(schedule.expression),
        jitterWindowMs=milliseconds(schedule.jitter_window),
        maxCatchUpCount=schedule.max_catch_up,
        missedRunPolicy=schedule.missed_runs,
        name=schedule.name,
        providerHints=None if schedule.job is None else {"job": _write_job(schedule.job)},
        schedulerGroup=schedule.group,
        targetKind=schedule.target_kind,
        targetName=schedule.target_name,
        targetServiceName=schedule.service_name,
        targetServiceVersion=schedule.service_version,
        timezone=cron.timezone if cron else None,
    )


def read_manifest(data: Any) -> Manifest:
    """Read a decoded manifest. A malformed entry is set aside and stops no other.

    Raises:
        InvalidSchedule: it is no manifest at all.
    """
    entries = data.get("schedules") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise InvalidSchedule(
            'Schedule manifest: expected an object with a list "schedules". Export it again.'
        )
    schedules: dict[str, Schedule] = {}
    rejected: list[Rejected] = []
    for entry in entries:
        try:
            schedule = read_entry(entry)
        except InvalidSchedule as error:
            rejected.append(Rejected(_key_of(entry), error))
            continue
        if schedule.key in schedules:
            twice = InvalidSchedule(f"Schedule {schedule.key!r} is in the manifest twice.")
            rejected.append(Rejected(schedule.key, twice))
        schedules.setdefault(schedule.key, schedule)
    title = data.get("title")
    return Manifest(
        tuple(schedules.values()), tuple(rejected), title if isinstance(title, str) else None
    )


def read_entry(data: Any) -> Schedule:
    """Read one entry.

    Raises:
        InvalidSchedule: it is malformed; the subclass and its code say in which way.
    """
    try:
        entry = _Entry.model_validate(data)
        name = names.identifier("Schedule", entry.name)
        group = names.identifier("Schedule group", entry.scheduler_group)
        target = names.dotted("Target", entry.target_name)
        service = names.dotted("Target service", entry.target_service_name)
        version = names.dotted("Target service version", entry.target_service_version)
    except ValidationError as error:
        raise InvalidSchedule(f"Schedule {_key_of(data)!r}: {explain(error)}.") from error
    except ContractError as error:
        raise InvalidSchedule(error.message) from error
    if entry.target_kind not in get_args(TargetKind):
        raise UnsupportedTarget(
            f"Schedule {_key_of(data)!r}: targetKind {entry.target_kind[:40]!r} is none of "
            f"{', '.join(get_args(TargetKind))}."
        )
    if entry.payload_schema is not None:
        raise UnsupportedPayload(
            f"Schedule {_key_of(data)!r} has a payloadSchema, and an occurrence carries no payload."
        )
    return Schedule(
        name=name,
        expression=read_expression(entry.name, entry.expression, entry.timezone),
        target_kind=cast(TargetKind, entry.target_kind),
        target_name=target,
        service_name=service,
        service_version=version,
        description=entry.description,
        concurrency=entry.concurrency_policy,
        missed_runs=entry.missed_run_policy,
        max_catch_up=entry.max_catch_up_count,
        jitter_window=None
        if entry.jitter_window_ms is None
        else entry.jitter_window_ms * MILLISECOND,
        group=group,
        enabled=entry.enabled_by_default,
        job=_read_job(entry),
    )


def _write_job(job: FixedJob) -> dict[str, Any]:
    return given(
        maxAttempts=job.max_attempts,
        parameter=job.parameter,
        payload=job.payload,
        priority=job.priority,
    )


def _read_job(entry: _Entry) -> FixedJob | None:
    if entry.target_kind == "event":
        return None
    # A command is tried once: whoever asks decides about another time.
    job = entry.provider_hints.job or _Job(max_attempts=1 if entry.target_kind == "command" else 10)
    return FixedJob(
        payload=job.payload,
        parameter=job.parameter,
        max_attempts=job.max_attempts,
        priority=job.priority,
    )


def _key_of(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return "unknown"
    key = "/".join(
        str(entry.get(part, "unknown"))
        for part in ("targetServiceName", "targetServiceVersion", "name")
    )
    # It is logged and hashed, whatever it holds.
    return key.encode("utf-8", "backslashreplace").decode("utf-8")
