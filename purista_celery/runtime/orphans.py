"""Queues that a deploy removed: found, told of, and only touched when somebody asks for it.

Their delayed jobs wait for ever, and a subscription's inbox is still bound and grows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from amqp.exceptions import NotFound
from kombu.exceptions import ChannelError

from purista_celery.errors import PuristaError
from purista_celery.ledger import reading
from purista_celery.ledger.registry import KnownQueue, Registry
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.runtime.runtime import Runtime

log = logging.getLogger(__name__)

#: Seconds between two looks of a worker, and until the second, by when those that were replaced in
#: a deploy have gone or are taken for dead.
LOOK_EVERY, LOOK_AGAIN = 600.0, 60.0
#: Looks after which the same orphans are told of again: six hours.
TELL_AGAIN = 36


@dataclass(frozen=True, slots=True)
class Orphan:
    """A queue that this app does not declare, and that no live worker serves."""

    name: str
    #: ``queue``, ``command``, ``subscription`` or ``binding``.
    kind: str
    #: Who declared it.
    service_name: str
    service_version: str
    #: Jobs that are ready or scheduled.
    pending: int
    #: Jobs that a worker held when it went away.
    inflight: int
    dead_letter: int
    #: Result events that the broker does not have yet.
    outbox: int
    #: Events that wait in a subscription's inbox.
    inbox: int
    #: When a worker last said that it serves it; None if none ever has.
    served_until: datetime | None

    @property
    def waiting(self) -> int:
        """How much of it nobody will ever look at."""
        return self.pending + self.inflight + self.dead_letter + self.outbox + self.inbox

    def __str__(self) -> str:
        until = self.served_until
        served = f"served until {until:%Y-%m-%d %H:%M:%S} UTC" if until else "never served"
        return (
            f"{self.name} ({self.kind} of {self.service_name} {self.service_version}): "
            f"{self.pending} pending, {self.inflight} in flight, {self.dead_letter} dead letters, "
            f"{self.outbox} result events, {self.inbox} events in its inbox, {served}"
        )


def orphans(runtime: Runtime) -> list[Orphan]:
    """Return the queues of this namespace that nobody serves and this app does not declare.

    Raises:
        LedgerUnavailable: the ledger does not answer.
        One of ``BROKER_ERRORS``: the broker does not.
    """
    found = Registry(runtime.ledger).unserved(but=runtime.wiring.queues)
    inboxes = _depths(runtime, [queue.inbox for queue in found if queue.inbox])
    return [
        _orphan(runtime, queue, inboxes.get(queue.inbox, 0), until)
        for queue, until in found.items()
    ]


def _orphan(runtime: Runtime, queue: KnownQueue, inbox: int, until: datetime | None) -> Orphan:
    numbers = reading.metrics(runtime.ledger, queue.name)
    return Orphan(
        name=queue.name,
        kind=queue.kind,
        service_name=queue.service_name,
        service_version=queue.service_version,
        pending=numbers.pending,
        inflight=numbers.inflight,
        dead_letter=numbers.dead_letter,
        outbox=numbers.outbox,
        inbox=inbox,
        served_until=until,
    )


def _depths(runtime: Runtime, names: Iterable[str]) -> dict[str, int]:
    """Return how many messages wait in broker queues; those that are gone are left out."""
    found: dict[str, int] = {}
    for name in names:
        with runtime.app.connection_or_acquire() as connection:
            connection.ensure_connection(max_retries=1)
            # A channel each: RabbitMQ closes one that asks for what is not there.
            with connection.channel() as channel:
                try:
                    found[name] = int(channel.queue_declare(name, passive=True).message_count)
                except (ChannelError, NotFound):
                    continue
    return found


class OrphanWatch(threading.Thread):
    """Says what this worker serves, and warns of what nobody does; runs until :meth:`stop`."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(name="purista-orphans", daemon=True)
        self._runtime = runtime
        self._registry = Registry(runtime.ledger)
        self._stopping = threading.Event()
        self._told: set[str] = set()
        self._looks = 0

    def stop(self) -> None:
        """End the thread, and say that this worker serves nothing any more."""
        self._stopping.set()
        if not self.is_alive():
            return
        self.join(timeout=5)
        try:
            self._registry.retire(self._runtime.fences.worker_id)
        except PuristaError as error:
            log.warning("Could not say that this worker serves nothing any more: %s", error)

    def run(self) -> None:
        """Look at once, once more after a deploy, and then seldom."""
        while not self._stopping.is_set():
            try:
                self.look()
            except (PuristaError, *BROKER_ERRORS) as error:
                log.warning("Could not look for queues that nobody serves: %s", error)
            except Exception:
                log.exception("Looking for queues that nobody serves failed")
            self._stopping.wait(LOOK_EVERY if self._looks > 1 else LOOK_AGAIN)

    def look(self) -> None:
        """Say what this worker serves, and warn of each orphan on which something waits."""
        served = [queue.known for queue in self._runtime.served]
        self._registry.serve(self._runtime.fences.worker_id, served)
        waiting = {each.name: each for each in orphans(self._runtime) if each.waiting}
        if self._looks % TELL_AGAIN == 0:
            self._told = set()
        self._looks += 1
        for name in waiting.keys() - self._told:
            log.warning(
                "Nobody serves queue %s, and no service of this app declares it. If a deploy has "
                "removed it, move what waits there, or purge it: celery purista orphans",
                waiting[name],
            )
        self._told = set(waiting)
