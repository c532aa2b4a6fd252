"""Celery's consumer, with nothing discarded: set by the public ``worker_consumer`` setting."""

from __future__ import annotations

import logging
import socket
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any, ClassVar

from celery.exceptions import CPendingDeprecationWarning
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu.exceptions import OperationalError
from vine import promise

from purista_celery.errors import LedgerUnavailable
from purista_celery.ledger.decision import Failure
from purista_celery.outages import BROKER
from purista_celery.producer.amqp import speaks_amqp
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.acceptance import hear_processes
from purista_celery.runtime.broadcasts import IN_PLACE_OF
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.intake import (
    MALFORMED,
    NewerContract,
    Unreadable,
    identity,
    keep,
    prepare,
    recognise,
    source,
)
from purista_celery.runtime.runtime import Runtime, runtime_of
from purista_celery.runtime.settle import Held

log = logging.getLogger(__name__)
log.addFilter(ForeignText())

#: Seconds between two offers of a message whose task no worker here knows (yet).
_UNKNOWN_PAUSE = 2.0
#: Seconds until a message is parked again when the ledger did not answer.
_LEDGER_PAUSE = 2.0
#: Seconds until the broker is asked again for a queue that it refused.
_REFUSED_PAUSE = 5.0
#: Seconds between two tries to consume from a broker that lets us connect and then fails.
_BACK_OFF = 1.0
#: Seconds between two looks whether there is a queue that nothing comes from.
_LISTEN_EVERY = 1.0
#: Seconds until a connection is ended for that once more.
_LISTEN_ANEW = 60.0


class Consumer(CeleryConsumer):
    """Runs what it knows, and keeps what it can not run as dead letters."""

    class Blueprint(CeleryConsumer.Blueprint):
        """Celery's, with a look at broadcasts, and without native delayed delivery.

        Delays are the ledger's.
        """

        default_steps: ClassVar = [
            IN_PLACE_OF.get(step, step)
            for step in CeleryConsumer.Blueprint.default_steps
            if not step.endswith(":DelayedDelivery")
        ]

    @property
    def _runtime(self) -> Runtime:
        return runtime_of(self.app)

    #: The compiled app.
    app: Any
    #: Celery's event loop, where there is one, its timer, and the pool.
    hub: Any
    timer: Any
    pool: Any
    task_consumer: Any
    qos: Any
    connection_errors: tuple[type[Exception], ...]
    _look: Any = None
    _listening: Any = None
    _anew_at = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # What Kombu makes of a connection that is lost while a step opens it: Celery would end.
        self.connection_errors = (*self.connection_errors, OperationalError)

    def create_task_handler(self, promise: Any = promise) -> Any:
        """Return Celery's handler of messages, behind a look at each job's message."""
        handle = super().create_task_handler(promise)
        self._look_for_left_out_later()
        self._listen()

        def on_message(message: Any) -> Any:
            try:
                self._look_at(message)
                return handle(message)
            except Unreadable as error:
                return self._park(message, error.reason, error.message)
            except NewerContract as error:
                queue = self._runtime.wiring.queue(error.job.queue_name)
                return self._wait_for(message, error.message, partial(self._bury, queue, error))
            except MALFORMED as error:
                return self._park(message, "undecodable", f"Celery can not take it: {error!r}")

        return on_message

    def _look_at(self, message: Any) -> None:
        queue = self._runtime.by_broker_name(source(message))
        if queue is not None:
            self._runtime.unheard.heard(queue.name)
        task = message.headers.get("task") if isinstance(message.headers, Mapping) else None
        if queue is None and isinstance(task, str):
            # One of our tasks, called the way that other Celery tasks are.
            queue = self._runtime.wiring.queues.get(task)
        # What is in no queue of ours, or is of a task that nobody here knows, is Celery's to sort;
        # it calls one of the methods below for what it would discard.
        if queue is not None and (task in self.app.tasks or not isinstance(task, str)):
            prepare(self._runtime, queue, message)
        else:
            recognise(message)

    def _look_for_left_out_later(self) -> None:
        """Look from time to time whether the broker lets us have the queues that it refused."""
        if self._look is not None:
            self._look.cancel()
        left_out = self.app.amqp.left_out(self.task_consumer) if self.task_consumer else []
        self._look = (
            self.timer.call_after(_REFUSED_PAUSE, self._consume_left_out) if left_out else None
        )

    def _consume_left_out(self) -> None:
        amqp = self.app.amqp
        if not self.task_consumer or not self.connection:
            return  # It begins anew when there is one.
        for queue in amqp.left_out(self.task_consumer):
            if amqp.declarations.declare(self.connection, queue):
                self.add_task_queue(queue.name)
        self._look_for_left_out_later()

    def _listen(self) -> None:
        """Look from time to time whether messages come, where a broker may withhold them."""
        if self._listening is not None:
            self._listening.cancel()
        self._runtime.unheard.forget()
        if speaks_amqp(self.connection):
            self._listening = self.timer.call_repeatedly(_LISTEN_EVERY, self._look_for_unheard)

    def _look_for_unheard(self) -> None:
        """End a connection that brings nothing of what it should: the next one does."""
        task_consumer, connection = self.task_consumer, self.connection
        if not self._runtime.unheard.in_doubt or time.monotonic() < self._anew_at:
            return
        if not task_consumer or not connection or not connection.connected:
            return
        reserved = Counter(request.name for request in state.reserved_requests)
        # One that has as much as it may hold is sent no more, and is not deaf for that.
        has_room = {
            queue.name
            for queue in (self._runtime.by_broker_name(each.name) for each in task_consumer.queues)
            if queue is not None and reserved[queue.name] < (self.qos.value or inf)
        }
        grace = self._runtime.settings.lost_grace.total_seconds()
        unheard = self._runtime.unheard.since(grace, has_room)
        if not unheard:
            return
        self._anew_at = time.monotonic() + _LISTEN_ANEW
        log.warning(
            "Jobs of %s were offered again, and their messages do not come: the broker withholds "
            "them. The worker connects anew; what runs goes on.",
            ", ".join(unheard),
        )
        connection.connection.sock.shutdown(socket.SHUT_RDWR)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Note that the broker is away, once (called by Celery before each try)."""
        BROKER.begins(exc)
        self._back_off()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Note that the broker is away, and begin anew after a while (called by Celery)."""
        BROKER.begins(exc)
        with warnings.catch_warnings():
            # Of a default of later versions: we have chosen.
            warnings.simplefilter("ignore", CPendingDeprecationWarning)
            super().on_connection_error_after_connected(exc)
        self._back_off()

    def _back_off(self) -> None:
        # One that answers with refusals, such as of a queue whose node is down, does so at once.
        maybe_shutdown()
        time.sleep(_BACK_OFF)
        maybe_shutdown()

    def on_ready(self) -> None:
        """Note that the broker is there again (called by Celery)."""
        super().on_ready()
        BROKER.ends()
        self.timer.call_after(BROKER.QUIET, BROKER.ends)

    def on_close(self) -> None:
        """Let go of what was not begun (called by Celery: connection lost, or shutting down)."""
        hear_processes(self.pool, self.hub)
        super().on_close()

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Offer a message of an unknown task again for a while, then keep it."""
        del body, exc
        error = f"No worker knows task {message.headers.get('task')!r}."
        self._wait_for(message, error, partial(self._park, reason="unknown_task", error=error))

    def _wait_for(self, message: Any, error: str, give_up: Callable[[Any], None]) -> None:
        """Offer a message to other workers for a while, then give it up: a deploy may be on."""
        grace = self._runtime.settings.unknown_task_grace
        try:
            age = self._runtime.ledger.first_seen(identity(message), grace + timedelta(hours=1))
        except LedgerUnavailable:
            age = timedelta(0)
        if age >= grace:
            give_up(message)
            return
        log.warning("%s It is offered again for %s more.", error, grace - age)
        self.timer.call_after(_UNKNOWN_PAUSE, message.requeue)

    def _bury(self, queue: JobQueue, newer: NewerContract, message: Any) -> None:
        """Make a job that only newer workers can run a dead letter, which can be redriven."""
        job = newer.job
        waiting = Held(queue, job, "", 0, job.max_attempts, job.created_at)
        failure = Failure("newer_contract", newer.message, fatal=True)
        try:
            # What the ledger does not know (any more) is kept as well.
            self._runtime.ledger.enqueue(job)
            settled = self._runtime.settler.fail(waiting, failure)
        except LedgerUnavailable as error:
            log.warning("Job %s waits for the ledger: %s", job.id, error)
            self.timer.call_after(_LEDGER_PAUSE, self._bury, (queue, newer, message))
            return
        if settled is not None and settled[1] is not None:
            log.error("Job %s of %s is a dead letter: %s", job.id, queue.name, newer.message)
            self._runtime.executor.publish(settled[1])
        message.ack_log_error(log, self.connection_errors)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Keep a message that is not of Celery's protocol."""
        del body
        self._park(message, "undecodable", "It is no Celery message.")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Keep a message that Celery refuses to run."""
        del body
        self._park(message, "invalid_payload", str(exc))

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a message whose body can not be read."""
        self._park(message, "undecodable", str(exc))

    def _park(self, message: Any, reason: str, error: str) -> None:
        name = self._kept_in(source(message))
        try:
            keep(self._runtime, name, message, reason, error)
        except LedgerUnavailable as unavailable:
            log.warning("A message of %s waits for the ledger: %s", name, unavailable)
            self.timer.call_after(_LEDGER_PAUSE, self._park, (message, reason, error))
            return
        log.error("A message of %s is now a dead letter (%s): %s", name, reason, error)
        message.ack_log_error(log, self.connection_errors)

    def _kept_in(self, name: str) -> str:
        """Return whose dead letter a message is; a name that we consume from, whatever it says."""
        queue = self._runtime.by_broker_name(name)
        if queue is not None:
            return queue.name
        return name if name in self.app.amqp.queues else str(self.app.conf.task_default_queue)
