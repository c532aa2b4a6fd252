"""A ledger with one queue, and hands to look into its records and to let time pass."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta
from typing import Any

import redis

from purista_celery.contracts.receipt import Receipt
from purista_celery.ledger import reading
from purista_celery.ledger.ledger import Ledger, milliseconds
from purista_celery.ledger.records import (
    Abandoned,
    Claim,
    JobStatus,
    Limits,
    QueueMetrics,
    Settled,
    Verdict,
)
from purista_celery.messages.job import JobMessage

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
NOW = timedelta(0)
#: How long the records and idempotency keys of ended jobs are kept in these tests.
KEEP_RECORD, KEEP_KEY = 3 * HOUR, 5 * HOUR
#: Fields of a record, and sorted sets, that hold instants.
INSTANTS = ("leaseExpiresAt", "holdUntil", "leasedAt", "createdAt", "windowStart", "updatedAt")
STATES = ("ready", "scheduled", "leased", "dead")


class Book:
    """The ledger under test, seen from one queue. Fences are ``<worker>/<number>``."""

    def __init__(self, client: redis.Redis, namespace: str, queue: str = "orders") -> None:
        self.client = client
        self.queue = queue
        self.ledger = Ledger(client, namespace, KEEP_RECORD)
        self.keys = self.ledger.keys(queue)
        self._ids = itertools.count(1)

    def message(
        self,
        job_id: str | None = None,
        *,
        key: str | None = None,
        delay: timedelta | None = None,
        max_attempts: int = 3,
        **fields: Any,
    ) -> JobMessage:
        now = time.time_ns() // 1_000_000
        return JobMessage(
            id=job_id or f"job-{next(self._ids)}",
            queue_name=self.queue,
            idempotency_key=key,
            created_at=now,
            scheduled_at=None if delay is None else now + milliseconds(delay),
            max_attempts=max_attempts,
            **fields,
        )

    def enqueue(self, job_id: str | None = None, **fields: Any) -> Receipt:
        return self.ledger.enqueue(self.message(job_id, **fields))

    def claim(
        self,
        job_id: str,
        fence: str = "w1/1",
        limit: int | None = None,
        interval: timedelta | None = None,
        **options: Any,
    ) -> Claim:
        limits = Limits(limit, interval)
        asked = {"lease": HOUR, "longest_hold": 4 * HOUR, "limits": limits} | options
        worker = fence.rpartition("/")[0]
        return self.ledger.claim(self.queue, job_id, fence=fence, worker=worker, **asked)

    def ready(self, **fields: Any) -> str:
        """Return the id of a ready job."""
        return self.enqueue(**fields).job_id

    def held(self, fence: str = "w1/1", **fields: Any) -> str:
        """Return the id of a job that ``fence`` holds."""
        job_id = self.ready(**fields)
        assert self.claim(job_id, fence).verdict is Verdict.GRANTED
        return job_id

    def scheduled(self, **fields: Any) -> str:
        """Return the id of a job that is due in an hour."""
        return self.enqueue(delay=HOUR, **fields).job_id

    def dead(self, **fields: Any) -> str:
        """Return the id of a dead letter."""
        job_id = self.held(**fields)
        assert self.bury(job_id)
        return job_id

    def completed(self, **fields: Any) -> str:
        """Return the id of a completed job."""
        job_id = self.held(**fields)
        assert self.complete(job_id)
        return job_id

    def in_state(self, state: str, **fields: Any) -> str:
        """Return the id of a job in ``state``, or of one that nobody knows."""
        if state == "unknown":
            return "nobody"
        if state == "cancelled":
            job_id = self.ready(**fields)
            assert self.cancel(job_id) == "done"
            return job_id
        made = {
            "ready": self.ready,
            "scheduled": self.scheduled,
            "leased": self.held,
            "dead": self.dead,
            "completed": self.completed,
        }
        return made[state](**fields)

    def complete(self, job_id: str, fence: str = "w1/1", **options: Any) -> bool:
        output = options.pop("output", '{"total": 1}')
        return self.ledger.complete(self.queue, job_id, fence, output, keep_key=KEEP_KEY, **options)

    def retry(self, job_id: str, fence: str = "w1/1", **options: Any) -> bool:
        asked = {"delay": HOUR, "reason": "ValueError", "error": "no such row"} | options
        return self.ledger.retry(self.queue, job_id, fence, **asked) is Settled.DONE

    def bury(self, job_id: str, fence: str = "w1/1", **options: Any) -> bool:
        asked = {"reason": "hopeless", "error": "it is", "keep_key": KEEP_KEY} | options
        return self.ledger.bury(self.queue, job_id, fence, **asked)

    def release(self, job_id: str, fence: str = "w1/1") -> bool:
        return self.ledger.release(self.queue, job_id, fence, "shutdown") is Settled.DONE

    def extend(self, job_id: str, fence: str = "w1/1", lease: timedelta = HOUR) -> tuple[str, bool]:
        return self.ledger.extend(self.queue, job_id, fence, lease)

    def cancel(self, job_id: str, **options: Any) -> str:
        asked = {"reason": "unwanted", "keep_key": KEEP_KEY} | options
        return self.ledger.cancel(self.queue, job_id, **asked)

    def redrive(self, job_id: str, delay: timedelta = NOW) -> str | None:
        return self.ledger.redrive(self.queue, job_id, delay)

    def take_due(self, limit: int = 100) -> list[str]:
        return [offer.job_id for offer in self.ledger.take_due(self.queue, limit)]

    def take_lost(self, grace: timedelta = HOUR, limit: int = 100) -> list[str]:
        return [offer.job_id for offer in self.ledger.take_lost(self.queue, grace, limit)]

    def expired(self, *dead_workers: str, limit: int = 100) -> list[str]:
        return [job.job_id for job in self.ledger.expired(self.queue, dead_workers, limit)]

    def abandoned(self, dead_worker: str = "", *, seen: timedelta = NOW) -> Abandoned:
        """Return that a holder was seen to be gone so long ago; it is good for a minute."""
        until = self.ledger.workers.now_ms() + milliseconds(timedelta(minutes=1) - seen)
        return Abandoned(dead_worker, until)

    def taken_over(self, job_id: str, fence: str, successor: str, **options: Any) -> None:
        """Let a job's lease pass, its attempt be ended by a rescuer, and another claim it."""
        self.age(job_id, 2 * HOUR)
        assert self.retry(job_id, fence, abandoned=self.abandoned(), delay=NOW)
        assert self.claim(job_id, successor, **options).verdict is Verdict.GRANTED

    def age(self, job_id: str, by: timedelta) -> None:
        """Let ``by`` pass for one job: each instant that is known of it moves into the past."""
        ago = milliseconds(by)
        job = self.keys.job(job_id)
        held = self.client.hmget(job, INSTANTS)
        with self.client.pipeline() as pipe:
            for field, value in zip(INSTANTS, held, strict=True):
                if value is not None:
                    pipe.hset(job, field, int(value) - ago)
            for state in STATES:
                pipe.zadd(getattr(self.keys, state), {job_id: -ago}, xx=True, incr=True)
            pipe.execute()

    def age_event(self, event_id: str, by: timedelta) -> None:
        """Let ``by`` pass for an event in the outbox."""
        self.client.zincrby(self.keys.outbox_times, -milliseconds(by), event_id)

    def record(self, job_id: str) -> dict[str, str]:
        return self.client.hgetall(self.keys.job(job_id))

    def status(self, job_id: str) -> JobStatus:
        found = reading.find(self.ledger, job_id, [self.queue])
        assert found is not None
        return found

    def metrics(self) -> QueueMetrics:
        return reading.metrics(self.ledger, self.queue)

    def where(self, job_id: str) -> tuple[str | None, set[str]]:
        """Return a job's state, and the sorted sets that it is in."""
        state = self.client.hget(self.keys.job(job_id), "state")
        found = {
            name
            for name in STATES
            if self.client.zscore(getattr(self.keys, name), job_id) is not None
        }
        return state, found

    def outbox(self) -> dict[str, str]:
        return self.client.hgetall(self.keys.outbox)

    def ttl(self, key: str) -> timedelta | None:
        """Return how long a key has to live; None is for ever."""
        left = self.client.pttl(key)
        assert left != -2, f"{key} does not exist"
        return None if left == -1 else timedelta(milliseconds=left)


def close_to(left: timedelta | None, expected: timedelta) -> bool:
    """Whether ``left`` is ``expected``, less the seconds that a slow test took."""
    return left is not None and expected - 30 * SECOND <= left <= expected
