"""What a handler reports on its way, and asks: news, left out while whoever takes it is away.

A handler that reports in a tight loop is not held up by an outage, and does not fail for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from purista_celery.errors import (
    BrokerUnavailable,
    EventUnroutable,
    LedgerUnavailable,
    PuristaError,
)
from purista_celery.ledger.ledger import Ledger
from purista_celery.messages.envelope import AnyEvent
from purista_celery.producer.events import EventPublisher
from purista_celery.runtime.results import ResultEventsOf

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds for which nothing is tried again after it failed.
PAUSE = 5.0


class Gate:
    """Lets calls through; after one that failed, none for a while. Tells of each outage once."""

    def __init__(self, who: str, outage: type[PuristaError]) -> None:
        self._who = who
        self._outage = outage
        self._closed_until = 0.0
        self._told = False

    def through(self, call: Callable[[], T]) -> T | None:
        """Return what ``call`` returns; None if it failed, or was not tried."""
        if time.monotonic() < self._closed_until:
            return None
        try:
            answer = call()
        except self._outage as error:
            self._close(error)
            return None
        if self._told:
            log.info("The %s takes progress again.", self._who)
            self._told = False
        return answer

    def _close(self, error: PuristaError) -> None:
        self._closed_until = time.monotonic() + PAUSE
        if not self._told:
            log.warning("Progress is left out while the %s is away: %s", self._who, error)
            self._told = True


class Reports:
    """The reports of all jobs of a process, which share what is known of an outage.

    Args:
        ledger: one that does not wait for long (see :func:`~.connection.connect`).
    """

    def __init__(self, ledger: Ledger, publisher: EventPublisher) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._to_ledger = Gate("ledger", LedgerUnavailable)
        self._to_broker = Gate("broker", BrokerUnavailable)

    def report(
        self, queue: str, job_id: str, fence: str, field: str = "", value: Any = None
    ) -> tuple[bool, bool]:
        """Write down, or only look; as :meth:`Ledger.report`.

        What is not known, because the ledger is away, is that the job is held, and not cancelled.
        """
        answer = self._to_ledger.through(
            lambda: self._ledger.report(queue, job_id, fence, field, value)
        )
        return answer or (True, False)

    def publish(self, results: ResultEventsOf) -> None:
        """Publish events that nobody has to get."""
        for event in results.events:
            self._to_broker.through(partial(self._tell, AnyEvent.from_wire(event.envelope)))

    def _tell(self, event: AnyEvent) -> None:
        try:
            self._publisher.publish(event)
        except EventUnroutable as error:
            # The broker is there, and the next event may find its way.
            log.warning("Progress event %s is dropped: %s", event.id, error)
