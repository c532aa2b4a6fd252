"""Reading and taking away what is left on a queue that nobody serves any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from purista_celery.ledger.connection import available
from purista_celery.ledger.keys import workers_key
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import OutgoingEvent

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class LeftJob:
    """A job's record, as it was read."""

    job_id: str
    state: str
    fence: str
    #: None for a dead letter that was no job.
    message: str | None
    #: When it is due (ms), if it waits for that.
    due: int
    #: What an attempt has written down for the next one.
    notes: Mapping[str, str]


def left_jobs(ledger: Ledger, queue: str, *, dead_letters: bool) -> Iterator[LeftJob]:
    """Yield the jobs of ``queue`` that no live worker holds, oldest first in each state.

    Args:
        dead_letters: those too.
    """
    k = ledger.keys(queue)
    for key in (k.ready, k.scheduled, k.leased, *([k.dead] if dead_letters else [])):
        with available():
            ids = [str(job_id) for job_id in ledger.client.zrange(key, 0, -1)]
        for start in range(0, len(ids), _AT_ONCE):
            yield from _read(ledger, queue, ids[start : start + _AT_ONCE])


def left_events(ledger: Ledger, queue: str) -> list[OutgoingEvent]:
    """Return the result events of the outbox, but for those that only a contract could make."""
    with available():
        found: Any = ledger.client.hgetall(ledger.keys(queue).outbox)
    return [OutgoingEvent(event_id, text) for event_id, text in found.items() if text]


def carry(ledger: Ledger, queue: str, job: LeftJob) -> None:
    """Write a job's notes into its record on another queue."""
    notes: dict[Any, Any] = dict(job.notes)
    if notes:
        with available():
            ledger.client.hset(ledger.keys(queue).job(job.job_id), mapping=notes)


def delete_keys(ledger: Ledger, queue: str) -> None:
    """Delete all that the ledger knows of ``queue``, ended jobs included."""
    with available():
        found = ledger.client.scan_iter(f"{ledger.keys(queue).root}:*", count=1000)
        batch: list[Any] = []
        for key in found:
            batch.append(key)
            if len(batch) == _AT_ONCE:
                ledger.client.unlink(*batch)
                batch = []
        if batch:
            ledger.client.unlink(*batch)


def _read(ledger: Ledger, queue: str, ids: list[str]) -> Iterator[LeftJob]:
    now = ledger.workers.now_ms()
    with available():
        pipe = ledger.client.pipeline(transaction=False)
        for job_id in ids:
            pipe.hgetall(ledger.keys(queue).job(job_id))
        pipe.zrangebyscore(workers_key(ledger.namespace), f"({now}", "+inf")
        *records, alive = pipe.execute()
    for job_id, record in zip(ids, records, strict=True):
        if record and not _is_held(record, alive, now):
            yield _left(job_id, record)


def _is_held(record: Mapping[str, str], alive: list[str], now: int) -> bool:
    if record["state"] != "leased" or record.get("worker") not in alive:
        return False
    return int(record.get("leaseExpiresAt") or 0) > now


def _left(job_id: str, record: Mapping[str, str]) -> LeftJob:
    state = record["state"]
    due = record.get("retryAt") or record.get("due") or "0"
    return LeftJob(
        job_id=job_id,
        state=state,
        fence=record.get("fence") or "",
        message=record.get("message"),
        due=int(float(due)) if state == "scheduled" else 0,
        notes={
            name: text
            for name, text in record.items()
            if name == "checkpoint" or name.startswith("kept:")
        },
    )
