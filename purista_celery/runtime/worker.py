"""The worker bootstep: starts and ends what a worker process does besides Celery's part."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import bootsteps, signals
from celery.exceptions import WorkerShutdown
from celery.platforms import EX_FAILURE

from purista_celery.errors import ConfigurationError
from purista_celery.outages import OncePerOutage
from purista_celery.producer.events import BROKER_ERRORS, unaccepted
from purista_celery.runtime import capabilities, revoked
from purista_celery.runtime.abandoned import give_up_stray
from purista_celery.runtime.abort import Aborter
from purista_celery.runtime.heartbeat import Heartbeat
from purista_celery.runtime.orphans import OrphanWatch
from purista_celery.runtime.pools import refuse_unsupported
from purista_celery.runtime.process import begin_stopping, close_resources
from purista_celery.runtime.relay import Relay
from purista_celery.runtime.rescuer import Rescuer
from purista_celery.runtime.router import Router
from purista_celery.runtime.runtime import Runtime, runtime_of
from purista_celery.runtime.shutdown import GracePeriod
from purista_celery.runtime.stager import Stager
from purista_celery.transport import DeliveryLeases, Transport

log = logging.getLogger(__name__)

#: Who says at each try that a server is away.
_REPETITIVE = (
    "celery.worker.consumer.consumer",
    "purista_celery.transport.channel",
    "purista_celery.transport.qos",
)
_ONCE = OncePerOutage()


class RuntimeStep(bootsteps.StartStopStep):
    """Heartbeat, maintenance and router, from after the first forks until after the last job.

    ``worker_shutting_down`` is when somebody asks for the end, and when grace periods begin;
    ``stop`` is when draining begins, which may wait for the broker before; ``worker_shutdown`` is
    when the last job has ended, so leases are renewed until then.
    """

    name = "purista"
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        refuse_unsupported(worker.pool_cls)
        self._runtime: Runtime = runtime_of(worker.app)
        self._relay = Relay(self._runtime)
        self._stager = Stager(self._runtime)
        self._rescuer = Rescuer(self._runtime, self._relay.hand, self._stager.wake)
        self._router = Router(self._runtime)
        self._orphans = OrphanWatch(self._runtime)
        self._heartbeat: Heartbeat | None = None
        self._grace = GracePeriod(self._runtime)
        signals.worker_shutting_down.connect(self._on_shutting_down, weak=False)
        # Of this worker alone: a test may run several in one process, one after the other.
        signals.worker_shutdown.connect(self._on_shutdown, sender=worker, weak=False)
        revoked.watch()
        for name in _REPETITIVE:
            _ONCE.watch(logging.getLogger(name))
        if any(queue.is_sensitive for queue in self._runtime.served):
            # At level DEBUG, Celery's pool logs the bodies of messages.
            logging.getLogger("celery.pool").setLevel(logging.INFO)

    def start(self, parent: Any) -> None:
        """Start the threads (called by Celery).

        Raises:
            WorkerShutdown: a setting, a permission or a server has to be changed first.
        """
        del parent
        try:
            capabilities.check(self._runtime)
            renew = capabilities.patiently(self._renewal)
        except ConfigurationError as error:
            log.critical("The worker ends: %s", error)
            raise WorkerShutdown(EX_FAILURE) from error
        aborter = Aborter(self._runtime, self._relay.hand)
        give_up = partial(give_up_stray, self._runtime, publish=self._relay.hand)
        self._heartbeat = Heartbeat(self._runtime, renew, aborter.on_verdict, give_up)
        self._heartbeat.start()
        for duty in (self._relay, self._stager, self._rescuer):
            duty.start()
        self._router.start()
        self._orphans.start()

    def close(self, parent: Any) -> None:
        """The worker ends, however it came to that (called by Celery, before any process ends)."""
        del parent
        begin_stopping()

    def _renewal(self) -> Callable[[dict[str, float]], Any] | None:
        """Return what renews deliveries, where the broker does not see by itself that we live."""
        try:
            with self._runtime.app.connection_for_write() as connection:
                if isinstance(connection.transport, Transport):
                    return DeliveryLeases.of(connection).extend
        except BROKER_ERRORS as error:
            raise unaccepted("There is no connection to the broker", error) from error
        return None

    def stop(self, parent: Any) -> None:
        """Take no more events (called by Celery)."""
        del parent
        self._grace.begin()  # A remote ``shutdown`` sends no signal.
        self._router.stop()

    def _on_shutting_down(self, **_: Any) -> None:
        begin_stopping()
        self._grace.begin()

    def _on_shutdown(self, **_: Any) -> None:
        self._grace.stop()
        self._orphans.stop()
        for duty in (self._rescuer, self._stager, self._relay):
            duty.stop()
        if self._heartbeat is not None:
            self._heartbeat.stop()
        close_resources(self._runtime.app)
