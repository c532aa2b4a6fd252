"""An event becomes jobs: a binding's mapping is asked once, and what it gave first is kept.

A mapping may answer otherwise when it is asked again: by the order of a set, a random id, or a
deploy in between. So its jobs are written down in the record of the binding before the first one is
stored, and an attempt that follows hands over the rest of these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, groupby
from typing import Any

from purista_celery.contracts.receipt import Enqueue
from purista_celery.contracts.subscription import Binding
from purista_celery.messages.envelope import EventMessage
from purista_celery.messages.job import JobMessage
from purista_celery.messages.wire import digest
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.job import RunningJob

#: Characters of a part, about: what the ledger takes, and a retry reads, at once.
_PART = 2**20


def bind(binding: Binding, job: RunningJob, target: JobQueue, producer: JobProducer) -> None:
    """Hand the event over to ``target``, as the jobs that the mapping names."""
    event: EventMessage[Any] = job.payload
    if job.last_checkpoint is None:
        jobs = _keyed(binding, event)
        _keep(job, [producer.message(target, each, job.trace) for each in jobs])
    # None where it named no jobs.
    kept: dict[str, int] = job.last_checkpoint or {"jobs": 0, "parts": 0}
    known = sum(_hand_over(job, part, target, producer) for part in range(kept["parts"]))
    job.logger.info(
        "Event %s became %d jobs of %s, %d of them known before",
        event.id,
        kept["jobs"],
        target.name,
        known,
    )


def job_key(binding: Binding, event_id: str, position: int) -> str:
    """Return the idempotency key of a job to which the mapping gave none.

    Several bindings may hand one event to one queue, so the binding is part of it.
    """
    return f"{event_id}:{digest(binding.key)}:{position}"


def _keyed(binding: Binding, event: EventMessage[Any]) -> list[Enqueue[Any, Any]]:
    headers = {
        "purista.sourceEventName": event.event_name,
        "purista.sourceMessageId": event.id,
    }
    return [
        replace(
            each,
            idempotency_key=each.idempotency_key or job_key(binding, event.id, position),
            headers={**(each.headers or {}), **headers},
        )
        for position, each in enumerate(_mapped(binding, event))
    ]


def _mapped(binding: Binding, event: EventMessage[Any]) -> list[Enqueue[Any, Any]]:
    mapped = binding.function(event)
    if mapped is None:
        return []
    return [mapped] if isinstance(mapped, Enqueue) else list(mapped)


def _keep(job: RunningJob, messages: Sequence[JobMessage]) -> None:
    """Write the jobs down; they count only once the last part and the checkpoint are there."""
    parts = list(_parts([message.to_json() for message in messages]))
    for number, text in enumerate(parts[:-1]):
        job.keep({number: text})
    if parts:
        job.last_checkpoint = {"jobs": len(messages), "parts": len(parts)}
        job.keep({len(parts) - 1: parts[-1]}, job.last_checkpoint)


def _parts(texts: Sequence[str]) -> Iterator[str]:
    """Return the jobs as JSON lists of about the same size, in their order."""
    ends = accumulate(map(len, texts))
    for _, part in groupby(zip(ends, texts, strict=True), lambda pair: pair[0] // _PART):
        yield f"[{','.join(text for _, text in part)}]"


def _hand_over(job: RunningJob, part: int, target: JobQueue, producer: JobProducer) -> int:
    """Store and publish one part's jobs, then forget it; return how many were known before."""
    messages = [JobMessage.from_wire(each) for each in json.loads(job.kept(part) or "[]")]
    receipts = producer.hand_over(target, messages)
    if messages:
        job.keep({part: ""})
    return sum(receipt.duplicate for receipt in receipts)
