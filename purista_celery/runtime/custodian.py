"""The custodian: looks after jobs that wait, were abandoned or got lost, and after the outbox.

One thread in the main process of every worker. Any number may run at once: what one takes, the
ledger's scripts keep from the others, and offering a job twice is harmless.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from purista_celery.errors import (
    BrokerUnavailable,
    InvalidMessage,
    LedgerUnavailable,
    PuristaError,
)
from purista_celery.ledger.decision import LEASE_EXPIRED, Failure, Retry
from purista_celery.ledger.reading import Attention, attention
from purista_celery.ledger.records import Expired, Offer
from purista_celery.messages.envelope import AnyEvent
from purista_celery.messages.job import JobMessage
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.abandoned import abandon
from purista_celery.runtime.depth import depth
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.runtime import Runtime
from purista_celery.runtime.settle import Held
from purista_celery.runtime.unmade import made

log = logging.getLogger(__name__)
log.addFilter(ForeignText())

#: Jobs taken from one queue at once; a full batch is followed by another without a pause.
BATCH = 200
#: Jobs offered at once that may be lost behind a backlog, and after how many lost graces.
FEW = 20
LOST_BEHIND_A_BACKLOG = 60
#: A line of ordered jobs in which nothing happens for longer is looked at.
QUIET = timedelta(seconds=60)
#: A signal hook publishes its own result events within this.
OUTBOX_GRACE = timedelta(seconds=3)


class Custodian(threading.Thread):
    """Runs until :meth:`stop`."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(name="purista-custodian", daemon=True)
        self._runtime = runtime
        self._ledger = runtime.ledger
        self._stopping = threading.Event()
        self._doubtful_until = 0.0

    def stop(self) -> None:
        """Ask the thread to end; it does so after the batch that it is at."""
        self._stopping.set()

    def run(self) -> None:
        """Look after the queues, again and again."""
        pause = min(
            self._runtime.settings.custodian_interval,
            # What waits for the next interval is offered within it.
            *(q.limits.interval for q in self._runtime.served if q.limits.interval),
            timedelta(minutes=1),
        ).total_seconds()
        while not self._stopping.is_set():
            try:
                busy = self.round()
            except (PuristaError, *BROKER_ERRORS) as error:
                log.warning("The custodian could not do its round: %s", error)
                self._doubt(error)
                busy = False
            except Exception:
                # This thread is what keeps the promise: it outlives any one bad record.
                log.exception("The custodian's round failed")
                busy = False
            if not busy:
                self._stopping.wait(pause)

    def round(self) -> bool:
        """Look after each queue that needs it; tell whether there is more to do at once."""
        dead_workers = self._ledger.workers.dead_workers()
        served = {queue.name: queue for queue in self._runtime.served}
        todo = attention(
            self._ledger, list(served), self._runtime.settings.lost_grace, OUTBOX_GRACE, QUIET
        )
        abandoned = served if dead_workers else [each.queue for each in todo if each.expired]
        busy = False
        for name in abandoned if time.monotonic() >= self._doubtful_until else ():
            busy = self._safely(served[name], self._take_from_the_dead, dead_workers) or busy
        for each in todo:
            if self._stopping.is_set():
                return False
            busy = self._safely(served[each.queue], self._look_after, each) or busy
        return busy

    def _safely(self, queue: JobQueue, look: Callable[..., bool], *what: Any) -> bool:
        """Do ``look``; what fails on one queue is no reason to leave the others alone."""
        try:
            return look(queue, *what)
        except (PuristaError, *BROKER_ERRORS) as error:
            log.warning("The custodian could not look after %s: %s", queue.name, error)
            self._doubt(error)
        except Exception:
            log.exception("The custodian failed on %s", queue.name)
        return False

    def _doubt(self, error: Exception) -> None:
        """Give all workers time to say that they live: nobody could while the ledger was away."""
        if isinstance(error, LedgerUnavailable):
            grace = self._runtime.settings.liveness_ttl.total_seconds()
            self._doubtful_until = time.monotonic() + grace

    def _look_after(self, queue: JobQueue, todo: Attention) -> bool:
        due: list[Offer] = []
        if todo.due:
            due = self._ledger.take_due(queue.name, BATCH)
            self._offer(queue, due)
        if todo.urgent:
            self._offer(queue, self._ledger.take_urgent(queue.name, BATCH, queue.limits))
        if todo.lost:
            self._offer(queue, self._lost(queue))
        if todo.quiet:
            self._ledger.call_turns(queue.name, QUIET, BATCH)
        if todo.outbox:
            self._publish_outbox(queue)
        return len(due) == BATCH

    def _take_from_the_dead(self, queue: JobQueue, dead_workers: list[str]) -> bool:
        expired = self._ledger.expired(queue.name, dead_workers, BATCH)
        for job in expired:
            try:
                self._abandon(queue, job, dead_workers)
            except InvalidMessage as error:
                self._bury_unreadable(queue, job, error)
        return len(expired) == BATCH

    def _bury_unreadable(self, queue: JobQueue, job: Expired, error: InvalidMessage) -> None:
        log.error("Job %s of %s has an unreadable record: %s", job.job_id, queue.name, error)
        self._ledger.bury(
            queue.name,
            job.job_id,
            job.fence,
            reason="undecodable",
            error=str(error),
            keep_key=queue.lifecycle.retry_window,
            if_abandoned_by=job.worker,
        )

    def _abandon(self, queue: JobQueue, job: Expired, dead_workers: list[str]) -> None:
        dead = job.worker in dead_workers
        failure = Failure(
            "worker_lost" if dead else LEASE_EXPIRED,
            f"Worker {job.worker} went silent.",
            # It has waited for long enough.
            delay=timedelta(0),
        )
        held = Held.by(queue, JobMessage.from_wire(job.message), job)
        decision = abandon(self._runtime, held, failure, job.worker if dead else "")
        if isinstance(decision, Retry):
            self._offer(queue, [Offer(job.job_id, job.message, job.attempt)])

    def _lost(self, queue: JobQueue) -> list[Offer]:
        grace = self._runtime.settings.lost_grace
        # Messages that still wait in the broker are not lost. But one may be lost behind a backlog
        # that never ends: what nobody has seen for very long is offered anyway, a few at a time.
        if depth(self._runtime, queue) == 0:
            return self._ledger.take_lost(queue.name, grace, BATCH, queue.limits)
        return self._ledger.take_lost(queue.name, grace * LOST_BEHIND_A_BACKLOG, FEW, queue.limits)

    def _offer(self, queue: JobQueue, offers: list[Offer]) -> None:
        for number, offer in enumerate(offers):
            try:
                self._runtime.producer.offer(queue, offer)
            except BROKER_ERRORS:
                rest = [each.job_id for each in offers[number:]]
                self._ledger.unpublished(queue.name, rest)
                raise
            except InvalidMessage:
                log.exception("Job %s of %s has an unreadable record", offer.job_id, queue.name)

    def _publish_outbox(self, queue: JobQueue) -> None:
        for event in self._ledger.take_outbox(queue.name, OUTBOX_GRACE, BATCH):
            try:
                for each in made(self._runtime, queue, event):
                    envelope = AnyEvent.from_wire(each.envelope)
                    self._runtime.publisher.publish(envelope, required=True)
            except (BrokerUnavailable, InvalidMessage) as error:
                log.warning("Result event %s stays in the outbox: %s", event.id, error)
                continue
            self._ledger.clear_outbox(queue.name, [event.id])
