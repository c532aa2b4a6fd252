"""The broker queues of ours: how they are declared, and what is done where the broker refuses.

Every process that publishes to a queue or consumes from it declares it in the same way, whatever it
knows of the contract. So the arguments depend on nothing but the kind of broker.
"""

from __future__ import annotations

import logging
from copy import copy
from datetime import timedelta
from typing import Any

from amqp.exceptions import ChannelError, PreconditionFailed
from kombu.entity import Exchange, Queue

from purista_celery.errors import QueueMismatch, QueueUnavailable

log = logging.getLogger(__name__)

_NO_LIMIT = 2**31 - 1
#: How long RabbitMQ waits for an acknowledgement before it closes the channel: longer than any
#: attempt, for what ends an attempt is its lease. By default it would be half an hour.
CONSUMER_TIMEOUT = timedelta(milliseconds=2**31 - 1)


def queue_arguments(*, quorum: bool) -> dict[str, Any]:
    """Return the arguments of any queue of ours on RabbitMQ; of none elsewhere."""
    if not quorum:
        return {}
    return {
        "x-queue-type": "quorum",
        # RabbitMQ 4 drops a message after 20 redeliveries unless it is told otherwise. Counting
        # attempts is the ledger's; what goes back to the queue here is never to be dropped.
        "x-delivery-limit": _NO_LIMIT,
        # Honoured from RabbitMQ 3.12 on, accepted and ignored before.
        "x-consumer-timeout": round(CONSUMER_TIMEOUT / timedelta(milliseconds=1)),
    }


def direct_queue(name: str, *, quorum: bool) -> Queue:
    """Return a durable queue that is reached by its name alone."""
    return Queue(
        name,
        Exchange("", type="direct"),
        routing_key=name,
        durable=True,
        queue_arguments=queue_arguments(quorum=quorum),
    )


def as_it_is(queue: Queue) -> Queue:
    """Return ``queue``, to be used without being declared."""
    found: Any = copy(queue)
    found.no_declare = True
    undeclared: Queue = found
    return undeclared


class Declarations:
    """Declares queues one by one, so that one that is refused holds up no other.

    One that exists with other properties is used as it is: it carries messages all the same, and
    what it may drop, the ledger offers again. It is said once, with what to do about it.
    """

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def declare(self, connection: Any, queue: Queue) -> bool:
        """Declare ``queue`` with its bindings; tell whether it can be used."""
        try:
            with connection.channel() as channel:
                queue(channel).declare()
        except PreconditionFailed as error:
            return self._adopt(connection, queue, error)
        except ChannelError as error:
            self._tell_unavailable(queue.name, error)
            return False
        self._told.pop(queue.name, None)
        return True

    def tell_mismatch(self, name: str, error: Exception) -> None:
        """Log that a queue has other properties than ours, once while that lasts."""
        problem = QueueMismatch(
            f"Broker queue {name!r} exists with other properties than are expected of it "
            f"({_said(error)}). It is used as it is, which may be less durable. Stop its workers "
            f"when it is empty, delete it, and start them again: they declare it anew."
        )
        self._tell(name, problem)

    def _adopt(self, connection: Any, queue: Queue, refusal: Exception) -> bool:
        """Bind a queue that exists with other properties, if that can be done."""
        try:
            with connection.channel() as channel:
                bound: Any = queue(channel)
                bound.queue_declare(passive=True)
                if bound.exchange is not None:
                    bound.exchange.declare()
                if bound.exchange is not None and bound.exchange.name:
                    bound.queue_bind()
                for binding in bound.bindings:
                    binding.declare(channel)
                    binding.bind(bound)
        except ChannelError:
            self._tell_unavailable(queue.name, refusal)
            return False
        self.tell_mismatch(queue.name, refusal)
        return True

    def _tell_unavailable(self, name: str, error: Exception) -> None:
        problem = QueueUnavailable(
            f"The broker refuses queue {name!r} ({_said(error)}). It is left out and tried again; "
            f"all others are served. Look for a node that is down, or for who else declares it."
        )
        self._tell(name, problem)

    def _tell(self, name: str, problem: QueueMismatch | QueueUnavailable) -> None:
        if self._told.get(name) != problem.code:
            self._told[name] = problem.code
            log.error("%s", problem)


def _said(error: Exception) -> str:
    return str(error)[:300]
