"""Publishing events: one Kombu message per event, as the app's bridge has it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from amqp.exceptions import AMQPError
from kombu.entity import Queue
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from purista_celery.errors import BrokerForbidden, BrokerUnavailable, EventUnroutable
from purista_celery.messages.envelope import AnyEvent, EventMessage, ScheduleTrigger, Sender, Trace
from purista_celery.outages import BROKER
from purista_celery.producer import routes, tracing
from purista_celery.producer.amqp import speaks_amqp
from purista_celery.producer.bridge import EventBridge, Publication
from purista_celery.producer.declaring import Declarations
from purista_celery.refusals import Verdict, reason, verdict
from purista_celery.transport import Condition, Transport, leads_to

if TYPE_CHECKING:
    from celery import Celery
    from kombu.messaging import Producer
    from redis import Redis

log = logging.getLogger(__name__)

T = TypeVar("T")

#: What an unreachable broker raises, through any of our transports.
BROKER_ERRORS = (KombuError, RedisError, AMQPError, OSError)

#: Bounded, so that an emitter is told within seconds that the broker is away.
RETRY_POLICY = {"max_retries": 3, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 1}
#: Seconds to wait for RabbitMQ's confirm. One that never comes (a queue that lost its leader in a
#: restart) would hold up its publisher for ever; to publish again is harmless.
CONFIRM_WITHIN = 10.0
#: Seconds that a queue is gone before it is declared anew. RabbitMQ (3.10) tells the consumers of a
#: quorum queue of its end a moment later; one that is there again by then keeps them, and hands
#: them messages that they never get. Measured: 10 ms is too early, 50 ms is not.
GONE_FOR = 0.5


def new_event(  # every field of the envelope that an emitter may choose
    name: str,
    payload: Any = None,
    *,
    sender: Sender,
    trace: Trace | None = None,
    event_id: str | None = None,
    schedule: ScheduleTrigger | None = None,
) -> AnyEvent:
    """Return a fresh envelope around ``payload``, which must be JSON-able."""
    trace = trace or Trace()
    active = tracing.active() or (None, None)
    return EventMessage[Any].create(
        id=event_id or str(uuid.uuid4()),
        timestamp=time.time_ns() // 1_000_000,
        event_name=name,
        sender=sender,
        payload=payload,
        schedule=schedule,
        trace_id=trace.trace_id or active[0] or uuid.uuid4().hex,
        correlation_id=trace.correlation_id,
        tenant_id=trace.tenant_id,
        principal_id=trace.principal_id,
    )


class EventPublisher:
    """Publishes envelopes through an app's connection pool; safe to share between threads.

    An event that nobody hears is published into the void, which is no error unless it is required
    and its readers may be elsewhere, as the bridge knows. One that this process
    knows a hearer of is accepted only when there is a queue that it went to.

    Args:
        inboxes: broker queues of the subscriptions that this process knows. They are declared with
            the first event, so that an event which is older than the first worker waits for it.
    """

    def __init__(self, app: Celery, bridge: EventBridge, inboxes: Sequence[Queue] = ()) -> None:
        self._app = app
        self.bridge = bridge
        self._inboxes = inboxes
        self._declared = False
        self._declarations = Declarations()
        self._returned = routes.Returned()

    @contextmanager
    def lend(self) -> Iterator[Producer]:
        """Lend a producer for many events, to one thread.

        Raises:
            BrokerUnavailable: there is no connection to be had.
        """
        try:
            producer = self._app.producer_pool.acquire(block=True)
        except BROKER_ERRORS as error:
            raise unaccepted("There is no connection to the broker", error) from error
        with producer:
            yield producer

    def publish(
        self, event: AnyEvent, producer: Producer | None = None, *, required: bool = False
    ) -> None:
        """Publish ``event`` persistently.

        Args:
            required: whether it must reach somebody, as far as the bridge can tell.

        Raises:
            BrokerUnavailable: the broker did not take it.
            EventUnroutable: it is required, and no queue takes it.
        """
        with self._publishing(event, producer) as lent:
            self._deliver(lent, event, required=required)
        self._declared = True

    def reaches(self, producer: Producer, client: Redis) -> bool:
        """Tell whether :meth:`publish_if` may ask for keys that ``client`` sees."""
        connection: Any = producer.connection
        return (
            isinstance(connection.transport, Transport)
            and self.bridge.exchange.type == "topic"
            and not self._inboxes
            and leads_to(connection, client.connection_pool)
        )

    def publish_if(
        self, condition: Condition, event: AnyEvent, producer: Producer | None = None
    ) -> list[str]:
        """Publish ``event`` if a script agrees, in one step: both are done, or nothing is.

        Returns:
            the script's answer; it is published if that begins with ``done``.

        Raises:
            BrokerUnavailable: the broker did not answer. If the script was run all the same, it
                must know that when it is asked again.
        """
        with self._publishing(event, producer) as lent:
            return _ensured(lent, lambda channel: self._fan_out(channel, event, condition))

    def _fan_out(self, channel: Any, event: AnyEvent, condition: Condition) -> list[str]:
        exchange = self.bridge.exchange
        if exchange.name not in channel.state.exchanges:
            exchange(channel).declare()
        publication = self.bridge.publication(event)
        message, properties = _message(event, publication)
        answer: list[str] = channel.basic_publish(
            channel.prepare_message(**message, properties=properties),
            exchange=exchange.name,
            routing_key=publication.routing_key,
            condition=condition,
        )
        return answer

    def _deliver(self, producer: Producer, event: AnyEvent, *, required: bool) -> None:
        """Publish to all who hear it: an inbox that somebody has deleted is declared again."""
        hearers = routes.hearers(self._inboxes, event.event_name)
        self._returned.watch(producer)
        if hearers:
            _ensured(producer, lambda channel: _declare_unbound(channel, hearers))
        self._send(producer, event)
        if not self._returned.take(event.id):
            return
        if not hearers and required and self.bridge.heard_elsewhere:
            raise EventUnroutable(
                f"Event {event.event_name!r} ({event.id}) is required, and no queue on exchange "
                f"{self.bridge.exchange.name!r} takes it. Start a subscriber, or name no event for "
                f"this outcome."
            )
        if not hearers:
            log.debug("Nobody hears event %r (%s)", event.event_name, event.id)
            return
        log.warning(
            "Event %r (%s) came back: its queues are gone and declared again",
            event.event_name,
            event.id,
        )
        if speaks_amqp(producer.connection):
            time.sleep(GONE_FOR)
        _ensured(producer, lambda channel: routes.declare(channel, hearers))
        self._send(producer, event)
        if self._returned.take(event.id):
            raise BrokerUnavailable(
                f"Event {event.event_name!r} ({event.id}) was not accepted: it came back, because "
                f"{', '.join(inbox.name for inbox in hearers)} could not be bound. Check who "
                f"deletes queues on the broker, and emit it again."
            )

    def _send(self, producer: Producer, event: AnyEvent) -> None:
        publication = self.bridge.publication(event)
        message, properties = _message(event, publication)
        inboxes = () if self._declared else self._inboxes
        if inboxes and speaks_amqp(producer.connection):
            # One by one: the event goes to all of the others, whatever is the matter with one.
            _ensured(producer, lambda channel: self._declare(channel, inboxes))
            inboxes = ()
        producer.publish(
            **message,
            **properties,
            exchange=self.bridge.exchange,
            routing_key=publication.routing_key,
            # Kombu's Redis transport takes an exchange that this very connection has not
            # declared for a direct one, and wildcard queues would get nothing.
            declare=[self.bridge.exchange, *inboxes],
            mandatory=True,
            retry=True,
            retry_policy=RETRY_POLICY,
            confirm_timeout=CONFIRM_WITHIN,
        )

    def _declare(self, channel: Any, inboxes: Sequence[Queue]) -> None:
        for inbox in inboxes:
            self._declarations.declare(channel.connection.client, inbox)

    @contextmanager
    def _publishing(self, event: AnyEvent, producer: Producer | None) -> Iterator[Producer]:
        """Lend a producer for ``event``; what the broker raises says that it was not accepted."""
        with tracing.hop(
            "producer",
            f"emit {event.event_name}",
            trace_id=event.trace_id,
            attributes={"messaging.destination.name": event.event_name},
        ):
            try:
                with self._app.producer_or_acquire(producer) as lent:
                    yield lent
            except BROKER_ERRORS as error:
                what = f"Event {event.event_name!r} ({event.id}) was not accepted"
                raise unaccepted(what, error) from error
        BROKER.ends()


def unaccepted(what: str, error: BaseException) -> BrokerUnavailable:
    """Return the coded error of ``what`` came of one of :data:`BROKER_ERRORS`, and note the outage.

    Returns:
        a :class:`BrokerForbidden` where the broker does not let its user do that.
    """
    BROKER.begins(error)
    why = f"{what}: {type(error).__name__} ({reason(error)})."
    if verdict(error) is Verdict.FORBIDDEN:
        return BrokerForbidden(
            f"{why} Give the user of PURISTA_BROKER_URL the rights that it lacks, or correct its "
            f"name and password; then try again."
        )
    return BrokerUnavailable(f"{why} Check the broker and try again.")


def _message(event: AnyEvent, publication: Publication) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an event's message, and its AMQP properties."""
    parent = tracing.traceparent()
    return {
        "body": event.to_json(),
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "headers": {**publication.headers, **({"traceparent": parent} if parent else {})},
    }, {
        "delivery_mode": 2,
        "message_id": event.id,
        "timestamp": publication.timestamp,
        "type": event.message_type,
    }


def _ensured(producer: Producer, ask: Callable[[Any], T]) -> T:
    """Do what ``ask`` does with the producer's channel, with the patience of a publish."""
    connection: Any = producer.connection
    answer: T = connection.ensure(producer, lambda: ask(producer.channel), **RETRY_POLICY)()
    return answer


def _declare_unbound(channel: Any, inboxes: Sequence[Queue]) -> None:
    routes.declare(channel, routes.unbound(channel, inboxes))
