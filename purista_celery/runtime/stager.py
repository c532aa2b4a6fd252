"""The stager: offers jobs whose time has come, that were given back, or whose message is lost.

Any number may run at once: what one takes, the ledger's scripts keep from the others, and a job
that is offered twice runs once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from purista_celery.errors import InvalidMessage
from purista_celery.ledger.reading import Attention, attention
from purista_celery.ledger.records import Offer
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.depth import depth
from purista_celery.runtime.duty import Duty
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.own_producer import OwnProducer
from purista_celery.runtime.runtime import Runtime

log = logging.getLogger(__name__)
log.addFilter(ForeignText())
T = TypeVar("T")

#: Jobs taken from one queue at once; a full batch is followed by another without a pause.
BATCH = 200
#: A line of ordered jobs in which nothing happens for longer is looked at.
QUIET = timedelta(seconds=60)


class Stager(Duty):
    """Publishes the messages of jobs that wait in the ledger."""

    def __init__(self, runtime: Runtime) -> None:
        # What waits for the next interval is offered within it.
        intervals = [q.limits.interval for q in runtime.served if q.limits.interval]
        super().__init__("stager", min([runtime.settings.custodian_interval, *intervals]))
        self._runtime = runtime
        self._ledger = runtime.ledger
        self._own = OwnProducer(runtime.app)
        #: Where the next look begins: a queue that the broker refuses is not to starve the others.
        self._first = 0

    def look(self) -> bool:
        """Offer what is to be offered; what the broker refuses ends the look."""
        served = {queue.name: queue for queue in self._runtime.served}
        todo = attention(self._ledger, list(served), self._runtime.settings.lost_grace, QUIET)
        busy = False
        for each in turned(todo, self._first):
            if self._stopping.is_set():
                return False
            self._first += 1
            with self._own.lent() as producer:
                busy = self._look_after(served[each.queue], each, producer) or busy
        return busy

    def close(self) -> None:
        """Let go of the connection."""
        self._own.close()

    def _look_after(self, queue: JobQueue, todo: Attention, producer: Any) -> bool:
        due: list[Offer] = []
        if todo.due:
            due = self._ledger.take_due(queue.name, BATCH)
            self._offer(queue, due, producer)
        if todo.urgent:
            urgent = self._ledger.take_urgent(queue.name, BATCH, queue.limits)
            self._offer(queue, urgent, producer)
        if todo.lost:
            lost = self._lost(queue, producer)
            self._offer(queue, lost, producer)
            if lost:
                self._runtime.unheard.offered(queue.name)
        if todo.quiet:
            self._ledger.call_turns(queue.name, QUIET, BATCH)
        return len(due) == BATCH

    def _lost(self, queue: JobQueue, producer: Any) -> list[Offer]:
        # Messages that still wait in the broker are not lost.
        waiting = depth(producer.connection, queue)
        grace = self._runtime.settings.lost_grace
        return self._ledger.take_lost(queue.name, grace, BATCH, queue.limits, waiting=waiting)

    def _offer(self, queue: JobQueue, offers: list[Offer], producer: Any) -> None:
        for number, offer in enumerate(offers):
            try:
                self._runtime.producer.offer(queue, offer, producer)
            except BROKER_ERRORS:
                rest = [each.job_id for each in offers[number:]]
                self._ledger.unpublished(queue.name, rest)
                raise
            except InvalidMessage as error:
                self._bury_unreadable(queue, offer, error)

    def _bury_unreadable(self, queue: JobQueue, offer: Offer, error: InvalidMessage) -> None:
        """Keep what can not be offered, where somebody sees it; it would be tried for ever."""
        log.error("Job %s of %s has an unreadable record: %s", offer.job_id, queue.name, error)
        self._ledger.bury(
            queue.name,
            offer.job_id,
            "",
            reason="undecodable",
            error=str(error),
            keep_key=queue.lifecycle.retry_window,
        )


def turned(items: Sequence[T], first: int) -> Sequence[T]:
    """Return ``items``, beginning with another one each time that ``first`` is another number."""
    start = first % len(items) if items else 0
    return [*items[start:], *items[:start]]
