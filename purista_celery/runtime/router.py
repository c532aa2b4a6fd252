"""The router: takes events from the subscriptions' durable queues and makes a job of each.

It acknowledges an event only after its job is stored. A thread of the worker's main process with a
connection of its own, so that publishing does not hold up Celery's event loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from kombu.messaging import Consumer as KombuConsumer
from kombu.mixins import ConsumerMixin

from purista_celery.contracts import names
from purista_celery.contracts.receipt import Enqueue
from purista_celery.errors import ConfigurationError, InvalidMessage, LedgerUnavailable
from purista_celery.ledger import underway
from purista_celery.messages.envelope import AnyEvent, Trace
from purista_celery.messages.wire import check_json, digest
from purista_celery.outages import BROKER
from purista_celery.producer import routes, tracing
from purista_celery.producer.amqp import speaks_amqp
from purista_celery.producer.declaring import Declarations
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.intake import MALFORMED, keep
from purista_celery.runtime.runtime import Runtime

log = logging.getLogger(__name__)
log.addFilter(ForeignText())

#: Events that one router holds unacknowledged.
PREFETCH = 20
#: Seconds between two looks whether the inboxes are still bound.
BINDINGS_EVERY = 5.0
#: Seconds until the broker is asked again for an inbox that it refused.
REFUSED_EVERY = 5.0
#: Seconds without an event after which an inbox is consumed anew: see
#: :mod:`purista_celery.runtime.unheard`, and no ledger misses an event.
SILENCE = 30.0
#: Seconds until it starts anew after the broker failed it.
_PAUSE = 1.0


class Router(ConsumerMixin):
    """Consumes all inboxes of the app; several workers share them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stopping = threading.Event()
        self._declarations = Declarations()
        self._heard_at: dict[str, float] = {}
        self._thread = threading.Thread(target=self._route, name="purista-router", daemon=True)
        # Celery sets a heartbeat on its own consumer's connection only. Without one a connection
        # that a network has forgotten stays open for ever, and brings nothing.
        self.connection = runtime.app.connection_for_read(
            heartbeat=runtime.app.conf.broker_heartbeat
        )

    def start(self) -> None:
        """Start routing in a thread, if there is anything to route."""
        if self._runtime.inboxes:
            self._thread.start()

    def stop(self) -> None:
        """Stop taking events; what is not stored yet goes back to the broker."""
        self._stopping.set()
        self.should_stop = True
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def get_consumers(self, Consumer: Any, channel: Any) -> list[Any]:  # noqa: ARG002, N803
        """Return one consumer for each inbox (called by Kombu after each connect)."""
        self._channel = channel
        self._bound_at = 0.0
        self._refused_at = time.monotonic()
        self._left_out = [key for key in self._runtime.inboxes if not self._usable(key)]
        keys = self._runtime.inboxes.keys() - set(self._left_out)
        self._consumers = {key: self._consumer(key) for key in keys}
        return [*self._consumers.values()]

    def _usable(self, key: str) -> bool:
        """Declare an inbox; tell whether the broker lets us have it."""
        connection, inbox = self._channel.connection.client, self._runtime.inboxes[key]
        if speaks_amqp(connection):
            return self._declarations.declare(connection, inbox)
        inbox(self._channel).declare()
        return True

    def _consumer(self, key: str) -> Any:
        queue = self._runtime.wiring.queue(key)
        self._heard_at[key] = time.monotonic()
        connection = self._channel.connection.client
        return KombuConsumer(
            # On RabbitMQ on a channel of its own, which can be ended without the others'.
            connection.channel() if speaks_amqp(connection) else self._channel,
            queues=[self._runtime.inboxes[key]],
            on_message=self._handler(queue),
            on_decode_error=self._on_decode_error(queue),
            prefetch_count=PREFETCH,
            auto_declare=False,
        )

    def on_connection_error(self, exc: Exception, interval: float) -> None:
        """Note that routing waits (called by Kombu before each reconnect)."""
        BROKER.begins(exc)
        log.debug("The router lost its broker (%s); trying again in %s s", exc, interval)

    def on_iteration(self) -> None:
        """Bind inboxes again whose bindings somebody has deleted (called by Kombu).

        RabbitMQ ends the consumer of a deleted queue, which does the same at once.
        """
        self._ask_for_left_out()
        self._listen_anew()
        if time.monotonic() - self._bound_at < BINDINGS_EVERY:
            return
        self._bound_at = time.monotonic()
        inboxes = list(self._runtime.inboxes.values())
        routes.declare(self._channel, routes.unbound(self._channel, inboxes))

    def _ask_for_left_out(self) -> None:
        if not self._left_out or time.monotonic() - self._refused_at < REFUSED_EVERY:
            return
        self._refused_at = time.monotonic()
        for key in filter(self._usable, [*self._left_out]):
            self._left_out.remove(key)
            self._begin(key)

    def _listen_anew(self) -> None:
        if not speaks_amqp(self._channel.connection.client):
            return
        for key in [*self._consumers]:
            if time.monotonic() - self._heard_at[key] >= SILENCE:
                self._consumers.pop(key).channel.close()
                self._begin(key)

    def _begin(self, key: str) -> None:
        self._consumers[key] = self._consumer(key)
        self._consumers[key].consume()

    def _route(self) -> None:
        while not self._stopping.is_set():
            try:
                for _ in self.consume(limit=None):
                    pass
            except BROKER_ERRORS as error:
                # A lost connection, a queue whose node is down: it is another time, or elsewhere.
                BROKER.begins(error)
                self._stopping.wait(_PAUSE)
            except Exception:
                log.exception("The router failed; it starts anew")
                self._stopping.wait(_PAUSE)
        self.connection.release()

    def _handler(self, queue: JobQueue) -> Any:
        def on_message(message: Any) -> None:
            self._until_stored(queue.name, message, partial(self._store, queue, message))

        return on_message

    def _on_decode_error(self, queue: JobQueue) -> Any:
        def on_decode_error(message: Any, error: Exception) -> None:
            store = partial(self._park, queue, message, str(error))
            self._until_stored(queue.name, message, store)

        return on_decode_error

    def _store(self, queue: JobQueue, message: Any) -> None:
        try:
            store(self._runtime, queue, message)
        except (InvalidMessage, *MALFORMED) as error:
            self._park(queue, message, str(error))
        except (LedgerUnavailable, ConfigurationError):
            raise
        except Exception as error:
            # Whatever it is, it would be the same again, and hold up all that come after it.
            log.exception("An event for %s can not be routed", queue.name)
            self._park(queue, message, repr(error))

    def _park(self, queue: JobQueue, message: Any, error: str) -> None:
        # Not to the exchange, where its routing key would take it to all who hear the event.
        inbox = self._runtime.inboxes[queue.name].name
        keep(self._runtime, queue.name, message, "undecodable", error, came_through=inbox)
        log.error("An event for %s is no envelope and now a dead letter: %s", queue.name, error)

    def _until_stored(self, key: str, message: Any, store: Callable[[], None]) -> None:
        waited = False
        while not self._stopping.is_set():
            try:
                store()
            except (LedgerUnavailable, ConfigurationError) as error:
                level = logging.DEBUG if waited else logging.WARNING
                log.log(level, "The router waits for the ledger: %s", error)
                waited = True
                self._stopping.wait(0.5)
            else:
                message.ack()
                self._heard_at[key] = time.monotonic()
                return
        message.requeue()


def store(runtime: Runtime, queue: JobQueue, message: Any) -> None:
    """Make a job of an event, if the queue hears it.

    Raises:
        InvalidMessage, or one of MALFORMED: it is no event.
        LedgerUnavailable: it is not stored.
    """
    bridge = runtime.publisher.bridge
    if not bridge.hears(queue.heard, message.headers):
        return
    event = bridge.read(message.body)
    check_json(event.payload)
    parent_span_id = tracing.parent_of(message.headers.get("traceparent"))
    trace = Trace(
        trace_id=event.trace_id,
        correlation_id=underway.correlation_after(event),
        tenant_id=event.tenant_id,
        principal_id=event.principal_id,
    )
    job: Enqueue[Any, Any] = Enqueue(event.to_wire(), idempotency_key=event_key(queue.heard, event))
    runtime.producer.enqueue(queue, job, trace, parent_span_id)


def event_key(heard: str, event: AnyEvent) -> str:
    """Return the idempotency key of an event's job: the same one for a redelivered event.

    A pattern hears events of several names, whose emitters may have chosen the same id.
    """
    if names.is_pattern(heard):
        return f"{event.id}:{digest(event.event_name)}"
    return event.id
