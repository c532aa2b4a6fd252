"""Emptying a queue that nobody serves any more: into another one, or for good."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kombu.entity import Queue as BrokerQueue
from kombu.transport import virtual

from purista_celery.contracts.queue import Queue
from purista_celery.errors import BrokerUnavailable, InvalidMessage, QueueInUse, UnknownQueue
from purista_celery.ledger import leaving
from purista_celery.ledger.leaving import LeftJob
from purista_celery.ledger.registry import KnownQueue, Registry
from purista_celery.messages.envelope import AnyEvent
from purista_celery.messages.job import JobMessage
from purista_celery.producer import routes
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.handlers import read_payload
from purista_celery.runtime.intake import MALFORMED
from purista_celery.runtime.orphans import Orphan, orphans
from purista_celery.runtime.router import event_key, store
from purista_celery.runtime.runtime import Runtime

log = logging.getLogger(__name__)

#: Milliseconds after which a moved job is due that has notes for its next attempt: they are written
#: before it may begin.
_BEFORE_IT_BEGINS = 2_000


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the contents of a queue."""

    jobs: int = 0
    #: Events of its inbox that are jobs of the other queue now.
    events: int = 0
    #: What the other queue's contract does not take; it stays where it was.
    left: int = 0


class Orphans:
    """The queues of this namespace that no live worker serves, and no service of this app declares.

    Nothing becomes of them by itself.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(self) -> list[Orphan]:
        """Return them by name, with what waits there."""
        with _broker():
            return orphans(self._runtime)

    def move(
        self, name: str, to: Queue[Any, Any, Any] | str, *, dead_letters: bool = False
    ) -> Moved:
        """Move what waits on a queue to one that this app declares; call it again to go on.

        Jobs keep their ids, and begin again with their first attempt and last checkpoint. What does
        not fit the other queue stays. A subscription's events become jobs of another subscription,
        each once, even if that has heard it itself.

        Args:
            dead_letters: try those again there, too.

        Raises:
            UnknownQueue: there is no such queue, or none of this app to move it to.
            QueueInUse: it is declared here, or a live worker serves it.
            BrokerUnavailable, LedgerUnavailable: a server does not answer.
        """
        orphan = self._known(name)
        target = self._runtime.wiring.queue(to if isinstance(to, str) else to.name)
        jobs = [
            self._move(name, job, target)
            for job in leaving.left_jobs(self._runtime.ledger, name, dead_letters=dead_letters)
        ]
        events = left = 0
        with _broker():
            self._publish_outbox(name)
            if orphan.inbox and target.heard:
                events, left = self._move_events(orphan, target)
        return Moved(jobs=sum(jobs), events=events, left=left + len(jobs) - sum(jobs))

    def purge(self, name: str) -> Orphan:
        """Delete a queue with all that it holds: jobs, dead letters, events, and its inbox.

        Returns:
            What it held.

        Raises:
            UnknownQueue, QueueInUse, BrokerUnavailable, LedgerUnavailable: as :meth:`move`.
        """
        queue = self._known(name)
        with _broker():
            held = next(each for each in orphans(self._runtime) if each.name == name)
            self._delete_broker_queues(queue)
        leaving.delete_keys(self._runtime.ledger, name)
        Registry(self._runtime.ledger).forget(name)
        return held

    def _known(self, name: str) -> KnownQueue:
        if name in self._runtime.wiring.queues:
            raise QueueInUse(
                f"Queue {name!r} is declared by a service of this app. Remove it there first, or "
                f"purge its dead letters alone."
            )
        registry = Registry(self._runtime.ledger)
        if (found := registry.find(name)) is None:
            raise UnknownQueue(
                f"Queue {name!r} is not known to the ledger; 'purista orphans' lists those that "
                f"nobody serves."
            )
        if found not in registry.unserved():
            raise QueueInUse(
                f"Queue {name!r} is served by a live worker. Stop those that declare it first."
            )
        return found

    def _move(self, name: str, job: LeftJob, target: JobQueue) -> bool:
        try:
            message = _addressed(job, target, self._runtime.ledger.workers.now_ms())
            read_payload(target, message)
        except InvalidMessage as error:
            log.warning("Job %s stays on %s: %s", job.job_id, name, error)
            return False
        self._runtime.producer.hand_over(target, [message])
        leaving.carry(self._runtime.ledger, target.name, job)
        return self._runtime.ledger.remove(name, job.job_id, job.state, job.fence)

    def _publish_outbox(self, name: str) -> None:
        for event in leaving.left_events(self._runtime.ledger, name):
            self._runtime.publisher.publish(AnyEvent.from_wire(event.envelope), required=True)
            self._runtime.ledger.clear_outbox(name, [event.id])

    def _move_events(self, orphan: KnownQueue, target: JobQueue) -> tuple[int, int]:
        moved, kept = 0, []
        with self._runtime.app.connection_for_read() as connection, connection.channel() as channel:
            inbox = BrokerQueue(orphan.inbox, no_declare=True)(channel)
            while (message := inbox.get()) is not None:
                try:
                    _check(self._runtime, target, message)
                    store(self._runtime, target, message)
                except (InvalidMessage, *MALFORMED) as error:
                    log.warning("An event stays in %s: %s", orphan.inbox, error)
                    kept.append(message)
                    continue
                message.ack()
                moved += 1
            for message in kept:
                message.requeue()
        return moved, len(kept)

    def _delete_broker_queues(self, queue: KnownQueue) -> None:
        with self._runtime.app.connection_for_write() as connection:
            for name in filter(None, (queue.broker_name, queue.inbox)):
                with connection.channel() as channel:
                    if not isinstance(channel, virtual.Channel):
                        channel.queue_delete(name)
                    elif name == queue.inbox:
                        self._delete_inbox(channel, queue)
                    else:
                        channel.queue_purge(name)

    def _delete_inbox(self, channel: Any, queue: KnownQueue) -> None:
        # Kombu's Redis transport deletes what it remembers to have bound.
        bridge = self._runtime.publisher.bridge
        routes.declare(channel, [bridge.inbox(queue.name, queue.heard, {})])
        channel.queue_delete(queue.inbox)


def _addressed(job: LeftJob, target: JobQueue, now: int) -> JobMessage:
    """Return a job's message for another queue.

    Raises:
        InvalidMessage: it is no job, or does not say what that queue asks for.
    """
    if job.message is None:
        raise InvalidMessage("It is no job; redrive it, or purge it.")
    message = JobMessage.from_wire(job.message)
    changed: dict[str, Any] = {"queue_name": target.name, "partition_key": _line(message, target)}
    if target.heard:
        event = AnyEvent.from_wire(message.payload)
        changed["idempotency_key"] = event_key(target.heard, event)
    due = job.due or (now + _BEFORE_IT_BEGINS if job.notes else None)
    return message.model_copy(update={**changed, "scheduled_at": due})


def _line(message: JobMessage, target: JobQueue) -> str | None:
    ordering = target.declared.ordering if target.declared else "none"
    if ordering != "partition":
        return "" if ordering == "fifo" else None
    key = message.partition_key or message.tenant_id
    if not key:
        raise InvalidMessage(f"Queue {target.name!r} keeps an order, and it names no partition.")
    return key


def _check(runtime: Runtime, target: JobQueue, message: Any) -> None:
    """Check that an event is one that ``target`` takes."""
    event = runtime.publisher.bridge.read(message.body)
    payload = event.to_wire()
    stand_in = JobMessage(
        id="-", queue_name=target.name, payload=payload, created_at=0, max_attempts=1
    )
    read_payload(target, stand_in)


@contextmanager
def _broker() -> Iterator[None]:
    try:
        yield
    except BROKER_ERRORS as error:
        raise BrokerUnavailable(
            f"The broker did not answer ({type(error).__name__}). Check PURISTA_BROKER_URL, and "
            f"do it again: what was done is not done twice."
        ) from error
