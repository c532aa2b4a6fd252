"""Which jobs an occurrence of a schedule has led to, and which of them are unfinished.

Schedules that must not overlap themselves give their events and jobs a correlation id of a form of
its own. It travels on with everything that follows from the occurrence, and each job that is stored
under it is written down: what a beat asks before it fires the next occurrence.

Counted are the occurrence's work and what that leads to: its jobs, those that their handlers
enqueue, those that come of the events that they emit, and of their success. Not counted is the news
of them: who hears that a job was cancelled, failed or got on does no work of the occurrence, and
neither what follows from there. It is not cancelled with it, and the next one does not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from purista_celery.contracts.receipt import Receipt
from purista_celery.ledger.connection import available
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import OutgoingEvent
from purista_celery.messages.envelope import AnyEvent
from purista_celery.messages.result import event_id, status_told_by

_PREFIX = "purista.occurrence:"
#: Ends the correlation id of what follows from news of an occurrence, and travels on with it. An
#: occurrence's id holds no colon.
_NEWS = ":news"
#: An occurrence whose event nobody has taken for so long is over.
_UNTAKEN = timedelta(days=1)
#: An occurrence is over when no job has been added for so long, whatever became of its jobs.
_LONGEST = timedelta(days=30)
#: In place of a job id: "announced" or "replaced".
_ITSELF = ""
_UNFINISHED = frozenset({"scheduled", "ready", "leased"})
_BATCH = 500


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """A job that an occurrence has led to, and that has not ended."""

    queue: str
    job_id: str


def correlation_of(schedule_key: str, occurrence_id: str) -> str:
    """Return the correlation id of all that follows from an occurrence."""
    return f"{_PREFIX}{schedule_key}:{occurrence_id}"


def correlation_after(event: AnyEvent) -> str:
    """Return the correlation id of the job that takes an event."""
    correlation_id = event.correlation_id or event.id
    is_news = status_told_by(event) not in {None, "success"}
    return correlation_id + _NEWS if is_news and _is_counted(correlation_id) else correlation_id


def announce(ledger: Ledger, correlation_id: str) -> None:
    """Say that an occurrence is about to be fired: it is under way before it has any job."""
    key = _key(ledger, correlation_id)
    with available():
        if ledger.client.hsetnx(key, _ITSELF, "announced"):
            ledger.client.expire(key, _UNTAKEN)


def note(ledger: Ledger, correlation_id: str | None, receipts: Sequence[Receipt]) -> None:
    """Write down stored jobs, if they follow from an occurrence of such a schedule.

    Those of an occurrence that has been replaced in the meantime are cancelled.
    """
    if correlation_id is None or not _is_counted(correlation_id) or not receipts:
        return
    key = _key(ledger, correlation_id)
    with available():
        pipe = ledger.client.pipeline()
        pipe.hset(key, mapping={receipt.job_id: receipt.queue_name for receipt in receipts})
        pipe.expire(key, _LONGEST)
        pipe.hget(key, _ITSELF)
        replaced = pipe.execute()[-1] == "replaced"
    for receipt in receipts if replaced else ():
        _cancel(ledger, UnfinishedJob(receipt.queue_name, receipt.job_id))


def is_under_way(ledger: Ledger, correlation_id: str) -> bool:
    """Tell whether a job of the occurrence is unfinished, or its event has not been taken yet."""
    with available():
        taken = ledger.client.hlen(_key(ledger, correlation_id))
        state = ledger.client.hget(_key(ledger, correlation_id), _ITSELF)
    if state is not None and taken == 1:
        return bool(state == "announced")
    return any(True for _ in _unfinished(ledger, correlation_id))


def replace(ledger: Ledger, correlation_id: str) -> int:
    """Cancel the unfinished jobs of an occurrence, and those that still come of it.

    Returns:
        How many were unfinished. What a worker holds ends when its handler asks, or is made to.
    """
    with available():
        key = _key(ledger, correlation_id)
        pipe = ledger.client.pipeline()
        pipe.hset(key, _ITSELF, "replaced")
        pipe.expire(key, _LONGEST)
        pipe.execute()
    found = list(_unfinished(ledger, correlation_id))
    for job in found:
        _cancel(ledger, job)
    return len(found)


def _cancel(ledger: Ledger, job: UnfinishedJob) -> None:
    # Whether the queue's contract asks for a result event, and for which, is not known here.
    unmade = OutgoingEvent(event_id(job.job_id, "cancelled"), "")
    ledger.cancel(
        job.queue, job.job_id, reason="replaced", keep_key=timedelta(days=1), event=unmade
    )


def _unfinished(ledger: Ledger, correlation_id: str) -> Iterator[UnfinishedJob]:
    key, cursor = _key(ledger, correlation_id), -1
    while cursor != 0:
        with available():
            found: Any = ledger.client.hscan(key, max(cursor, 0), count=_BATCH)
            cursor, fields = found
            jobs = [UnfinishedJob(queue, job) for job, queue in fields.items() if job != _ITSELF]
            pipe = ledger.client.pipeline(transaction=False)
            for job in jobs:
                pipe.hget(ledger.keys(job.queue).job(job.job_id), "state")
            states = pipe.execute()
        yield from (job for job, state in zip(jobs, states, strict=True) if state in _UNFINISHED)


def _is_counted(correlation_id: str) -> bool:
    return correlation_id.startswith(_PREFIX) and not correlation_id.endswith(_NEWS)


def _key(ledger: Ledger, correlation_id: str) -> str:
    return f"{{{ledger.namespace}:occurrences}}:{correlation_id.removeprefix(_PREFIX)}"
