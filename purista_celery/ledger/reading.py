"""Reading the ledger: status of jobs, queues in numbers, dead letters and leases."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from purista_celery.ledger.connection import available
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import (
    STATUS_OF_STATE,
    JobStatus,
    LeaseRecord,
    QueueMetrics,
)
from purista_celery.ledger.spans import milliseconds


@dataclass(frozen=True, slots=True)
class Attention:
    """What there is to offer on one queue."""

    queue: str
    due: bool
    #: Ready jobs that are known to have no message.
    urgent: bool
    #: Ready jobs whose message nobody has seen for a while.
    lost: bool
    #: Lines of ordered jobs in which nothing has happened for a while.
    quiet: bool


def attention(
    ledger: Ledger,
    queues: Sequence[str],
    lost_after: timedelta,
    quiet_after: timedelta,
) -> list[Attention]:
    """Return what there is to offer on ``queues``, and leave out those with nothing."""
    with available():
        now = ledger.workers.now_ms()
        pipe = ledger.client.pipeline(transaction=False)
        for queue in queues:
            k = ledger.keys(queue)
            pipe.zcount(k.scheduled, "-inf", now)
            pipe.zcount(k.ready, "-inf", 1)
            pipe.zcount(k.ready, "(1", now - milliseconds(lost_after))
            pipe.zcount(k.lines, "-inf", now - milliseconds(quiet_after))
            pipe.exists(k.paused)
        counts = pipe.execute()
    found = []
    for i, queue in enumerate(queues):
        due, urgent, lost, quiet, paused = map(bool, counts[5 * i : 5 * i + 5])
        offer = not paused
        todo = Attention(queue, due, urgent and offer, lost and offer, quiet)
        if any((todo.due, todo.urgent, todo.lost, todo.quiet)):
            found.append(todo)
    return found


def with_passed_leases(ledger: Ledger, queues: Sequence[str]) -> list[str]:
    """Return which of ``queues`` have a held job whose lease has passed."""
    return _with_any(ledger, queues, "leased", timedelta(0))


def with_waiting_events(ledger: Ledger, queues: Sequence[str], waiting: timedelta) -> list[str]:
    """Return which of ``queues`` have a result event that has waited for so long."""
    return _with_any(ledger, queues, "outbox_times", waiting)


def _with_any(ledger: Ledger, queues: Sequence[str], times: str, ago: timedelta) -> list[str]:
    with available():
        until = ledger.workers.now_ms() - milliseconds(ago)
        pipe = ledger.client.pipeline(transaction=False)
        for queue in queues:
            pipe.zcount(getattr(ledger.keys(queue), times), "-inf", until)
        return [queue for queue, count in zip(queues, pipe.execute(), strict=True) if count]


def find(ledger: Ledger, job_id: str, queues: Iterable[str]) -> JobStatus | None:
    """Return the status of a job that is on one of ``queues``, in one round trip."""
    names = list(queues)
    with available():
        pipe = ledger.client.pipeline(transaction=False)
        for queue in names:
            pipe.hgetall(ledger.keys(queue).job(job_id))
        for queue, record in zip(names, pipe.execute(), strict=True):
            if record:
                return status_of(queue, job_id, record)
    return None


def jobs(ledger: Ledger, queue: str, states: Iterable[str], limit: int) -> list[JobStatus]:
    """Return up to ``limit`` unfinished or dead jobs of ``queue``, oldest first in each state."""
    k = ledger.keys(queue)
    with available():
        ids = [
            str(job_id)
            for state in states
            for job_id in ledger.client.zrange(getattr(k, state), 0, limit - 1)
        ][:limit]
        pipe = ledger.client.pipeline(transaction=False)
        for job_id in ids:
            pipe.hgetall(k.job(job_id))
        records = pipe.execute()
    return [status_of(queue, i, r) for i, r in zip(ids, records, strict=True) if r]


def metrics(ledger: Ledger, queue: str) -> QueueMetrics:
    """Return ``queue`` in numbers."""
    k = ledger.keys(queue)
    with available():
        pipe = ledger.client.pipeline(transaction=False)
        for key in (k.ready, k.scheduled, k.leased, k.dead):
            pipe.zcard(key)
        pipe.hgetall(k.stats)
        pipe.hlen(k.outbox)
        pipe.zrange(k.ready, 0, 0, withscores=True)
        pipe.get(k.paused)
        pipe.time()
        ready, scheduled, leased, dead, stats, outbox, oldest, paused, now = pipe.execute()
    age = (now[0] + now[1] / 1e6) - oldest[0][1] / 1000 if oldest else None
    return QueueMetrics(
        pending=ready + scheduled,
        scheduled=scheduled,
        inflight=leased,
        dead_letter=dead,
        retries=int(stats.get("retries", 0)),
        completed=int(stats.get("completed", 0)),
        cancelled=int(stats.get("cancelled", 0)),
        outbox=outbox,
        oldest_age=max(age, 0.0) if age is not None else None,
        paused=paused,
    )


def leases(ledger: Ledger, queue: str, limit: int) -> list[LeaseRecord]:
    """Return up to ``limit`` held jobs of ``queue``, soonest to expire first."""
    k = ledger.keys(queue)
    fields = ("fence", "worker", "leasedAt", "leaseExpiresAt")
    with available():
        ids = [str(job_id) for job_id in ledger.client.zrange(k.leased, 0, limit - 1)][:limit]
        pipe = ledger.client.pipeline(transaction=False)
        for job_id in ids:
            pipe.hmget(k.job(job_id), fields)
        records = pipe.execute()
    return [
        LeaseRecord(fence, queue, job_id, worker, _instant(leased_at), _instant(expires_at))
        for job_id, (fence, worker, leased_at, expires_at) in zip(ids, records, strict=True)
        if fence and expires_at
    ]


def status_of(queue: str, job_id: str, record: Mapping[str, str]) -> JobStatus:
    """Return a record's status."""
    message, unreadable = _message(record.get("message"))
    return JobStatus(
        job_id=job_id,
        queue_name=queue,
        status=STATUS_OF_STATE[record["state"]],
        attempt=int(record["attempt"]),
        max_attempts=int(record["maxAttempts"]),
        created_at=_instant(record["createdAt"]),
        updated_at=_instant(record["updatedAt"]),
        scheduled_at=_maybe_instant(record.get("retryAt") or record.get("due")),
        leased_at=_maybe_instant(record.get("leasedAt")),
        lease_expires_at=_maybe_instant(record.get("leaseExpiresAt")),
        completed_at=_maybe_instant(record.get("completedAt")),
        failed_at=_maybe_instant(record.get("failedAt")),
        cancelled_at=_maybe_instant(record.get("cancelledAt")),
        cancel_requested_at=_maybe_instant(record.get("cancelRequestedAt")),
        progress=_maybe_json(record.get("progress")),
        last_checkpoint=_maybe_json(record.get("checkpoint")),
        output=_maybe_json(record.get("output")),
        reason=record.get("reason") or None,
        error=record.get("error") or None,
        payload=message.get("payload"),
        parameter=message.get("parameter"),
        trace_id=message.get("traceId"),
        correlation_id=message.get("correlationId"),
        tenant_id=message.get("tenantId"),
        principal_id=message.get("principalId"),
        worker=record.get("worker"),
        raw=record.get("raw", unreadable),
    )


def _message(text: str | None) -> tuple[Mapping[str, Any], str | None]:
    """Return a record's message; one that can not be read as what is kept of messages: base64.

    It is a dead letter, or about to become one, and must not hide all others of its queue.
    """
    try:
        message = json.loads(text or "{}")
    except (ValueError, RecursionError):
        message = None
    if isinstance(message, dict):
        return message, None
    return {}, base64.b64encode((text or "").encode("utf-8", "backslashreplace")).decode()


def _instant(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _maybe_instant(milliseconds: str | None) -> datetime | None:
    return _instant(milliseconds) if milliseconds and milliseconds != "0" else None


def _maybe_json(text: str | None) -> Any:
    return json.loads(text) if text else None
