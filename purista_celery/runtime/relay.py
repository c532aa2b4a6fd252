"""The relay: publishes result events that were committed with an outcome, and clears the outbox.

What it is handed it publishes at once; what waits in the outbox, because whoever settled died or
the broker was away, after a while. It stops at the first refusal: the next would wait as long.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any

from purista_celery.errors import EventUnroutable, InvalidMessage
from purista_celery.ledger.reading import with_waiting_events
from purista_celery.messages.envelope import AnyEvent
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.duty import Duty
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.own_producer import OwnProducer
from purista_celery.runtime.results import ResultEventsOf, publish_results
from purista_celery.runtime.runtime import Runtime
from purista_celery.runtime.stager import turned
from purista_celery.runtime.unmade import made

log = logging.getLogger(__name__)
log.addFilter(ForeignText())

#: Events taken from one outbox at once.
BATCH = 200
#: Whoever settles publishes its own result events within this.
OUTBOX_GRACE = timedelta(seconds=3)


class Relay(Duty):
    """Publishes on a connection of its own, for duties that are not to wait for a broker, too."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__("relay", runtime.settings.custodian_interval)
        self._runtime = runtime
        self._ledger = runtime.ledger
        self._own = OwnProducer(runtime.app)
        self._handed: SimpleQueue[ResultEventsOf] = SimpleQueue()
        self._first = 0

    def hand(self, results: ResultEventsOf) -> None:
        """Have committed result events published; returns at once."""
        self._handed.put(results)
        self.wake()

    def look(self) -> bool:
        """Publish what was handed over, then what waits in outboxes."""
        with self._own.lent() as producer:
            self._publish_handed(producer)
            served = {queue.name: queue for queue in self._runtime.served}
            waiting = with_waiting_events(self._ledger, list(served), OUTBOX_GRACE)
            for name in turned(waiting, self._first):
                self._first += 1
                self._publish_outbox(served[name], producer)
        return False

    def close(self) -> None:
        """Let go of the connection."""
        self._own.close()

    def _publish_handed(self, producer: Any) -> None:
        while True:
            try:
                results = self._handed.get_nowait()
            except Empty:
                return
            publish_results(results, self._runtime.publisher, self._ledger, producer)

    def _publish_outbox(self, queue: JobQueue, producer: Any) -> None:
        for event in self._ledger.take_outbox(queue.name, OUTBOX_GRACE, BATCH):
            if self._stopping.is_set():
                return
            try:
                for each in made(self._runtime, queue, event):
                    envelope = AnyEvent.from_wire(each.envelope)
                    self._runtime.publisher.publish(envelope, producer, required=True)
            except (EventUnroutable, InvalidMessage) as error:
                # This one's fault alone.
                log.warning("Result event %s stays in the outbox: %s", event.id, error)
                continue
            self._ledger.clear_outbox(queue.name, [event.id])
