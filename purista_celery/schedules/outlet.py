"""Where an occurrence goes: an event to the exchange, a job to its queue; and who is in its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from purista_celery.contracts.schedule import Schedule
from purista_celery.ledger import underway
from purista_celery.ledger.ledger import Ledger
from purista_celery.messages.envelope import AnyEvent
from purista_celery.producer.events import EventPublisher
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.wiring import JobQueue
from purista_celery.schedules.fire import correlation, occurrence_event, occurrence_job

if TYPE_CHECKING:
    from kombu.messaging import Producer
    from redis import Redis

    from purista_celery.transport import Condition


@dataclass(frozen=True, slots=True)
class Outlet:
    """Hands occurrences over. Safe to share between groups."""

    publisher: EventPublisher
    jobs: JobProducer
    ledger: Ledger
    #: Finds the queue that a schedule enqueues on; a command has one of its own.
    queue_of: Callable[[Schedule], JobQueue]
    #: Tells this process from others in envelopes.
    instance_id: str
    #: Lent for many events; each takes one of its own without it.
    producer: Producer | None = None
    #: The broker is the Redis that keeps the schedules, so that both change in one step.
    at_once: bool = False

    @contextmanager
    def opened(self, store: Redis) -> Iterator[Outlet]:
        """Yield an outlet for many occurrences, to be used by one thread.

        Args:
            store: client of the Redis that keeps the schedules.

        Raises:
            BrokerUnavailable: there is no connection to be had.
        """
        with self.publisher.lend() as producer:
            at_once = self.publisher.reaches(producer, store)
            yield replace(self, producer=producer, at_once=at_once)

    def sends_at_once(self, schedule: Schedule) -> bool:
        """Tell whether occurrences are for :meth:`send_if`: an event, with nothing around it."""
        return self.at_once and schedule.target_kind == "event" and schedule.concurrency == "allow"

    def send_if(
        self,
        condition: Condition,
        schedule: Schedule,
        scheduled_at: datetime,
        now: datetime,
        attempt: int,
    ) -> list[str]:
        """Hand one occurrence over if a script agrees, in one step, and return its answer.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        event = self._event(schedule, scheduled_at, now, attempt)
        return self.publisher.publish_if(condition, event, self.producer)

    def send(self, schedule: Schedule, scheduled_at: datetime, now: datetime, attempt: int) -> str:
        """Hand one occurrence over, and return the id of its event or job.

        Raises:
            BrokerUnavailable: the broker did not take the event.
            LedgerUnavailable: the ledger did not take the job.
            UnknownQueue: the queue is not known here.
        """
        marker = correlation(schedule, scheduled_at)
        if marker is not None:
            underway.announce(self.ledger, marker)
        if schedule.target_kind != "event":
            job, trace = occurrence_job(schedule, scheduled_at)
            return self.jobs.enqueue(self.queue_of(schedule), job, trace).job_id
        event = self._event(schedule, scheduled_at, now, attempt)
        self.publisher.publish(event, self.producer)
        return event.id

    def _event(
        self, schedule: Schedule, scheduled_at: datetime, now: datetime, attempt: int
    ) -> AnyEvent:
        return occurrence_event(
            schedule, scheduled_at, now, attempt=attempt, instance_id=self.instance_id
        )

    def make_way(self, schedule: Schedule, last: datetime | None) -> bool:
        """Apply the overlap policy to the occurrence after ``last``; False if it is to be skipped.

        Raises:
            LedgerUnavailable: it is not known whether jobs of ``last`` are unfinished.
        """
        marker = None if last is None else correlation(schedule, last)
        if marker is None:
            return True
        if schedule.concurrency == "replace":
            underway.replace(self.ledger, marker)
            return True
        return not underway.is_under_way(self.ledger, marker)
