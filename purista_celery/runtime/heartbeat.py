"""The heartbeat: says that this worker lives, and renews what it holds.

A daemon thread of the main process with connections of its own: draining, a soft shutdown and the
solo pool each stop Celery's event loop, and a lease must not depend on it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from celery.worker import state

from purista_celery.errors import InvalidMessage, LedgerUnavailable
from purista_celery.ledger.keys import presence_channel
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime import fence
from purista_celery.runtime.runtime import Runtime

log = logging.getLogger(__name__)

#: How often the thread looks what is to be renewed.
TICK = 0.5


class Heartbeat(threading.Thread):
    """Runs until :meth:`stop`, which comes after the last job has ended.

    Args:
        renew_deliveries: called with ``{delivery tag: seconds}`` where the broker's own leases
            need renewing (our Redis transport).
        on_verdict: told of each renewed job what the ledger said and whether to cancel it.
    """

    def __init__(
        self,
        runtime: Runtime,
        renew_deliveries: Callable[[dict[str, float]], Any] | None,
        on_verdict: Callable[[Any, str, bool], None],
    ) -> None:
        super().__init__(name="purista-heartbeat", daemon=True)
        self._runtime = runtime
        self._renew_deliveries = renew_deliveries
        self._on_verdict = on_verdict
        self._stopping = threading.Event()
        self._renewed: dict[str, float] = {}
        self._announced = 0.0

    def stop(self) -> None:
        """End the thread, and say that this worker has gone in good order."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout=5)
        try:
            self._runtime.ledger.workers.retire(self._runtime.fences.worker_id)
        except LedgerUnavailable as error:
            log.warning("Could not sign off: %s", error)

    def run(self) -> None:
        """Announce and renew, again and again."""
        ledger = self._runtime.ledger
        channel = presence_channel(ledger.namespace, self._runtime.fences.worker_id)
        presence = ledger.client.pubsub(ignore_subscribe_messages=True)
        while not self._stopping.is_set():
            try:
                if channel not in {_text(name) for name in presence.channels}:
                    presence.subscribe(channel)
                # Reading reconnects and subscribes again after an outage.
                presence.get_message(timeout=0)
                self.beat()
            except (LedgerUnavailable, InvalidMessage, *BROKER_ERRORS) as error:
                log.warning("A heartbeat failed: %s", error)
            except Exception:
                log.exception("A heartbeat failed")
            self._stopping.wait(TICK)
        presence.close()

    def beat(self) -> None:
        """Announce this worker and renew each lease that is due for it."""
        now = time.monotonic()
        ttl = self._runtime.settings.liveness_ttl
        if now - self._announced >= ttl.total_seconds() / 5:
            self._runtime.ledger.workers.announce(self._runtime.fences.worker_id, ttl)
            requests = _reserved()
            self._renew(requests, ttl)
            self._announced = now
        self._extend(_reserved(), now)

    def _renew(self, requests: Iterable[Any], ttl: timedelta) -> None:
        if self._renew_deliveries is not None:
            tags = {request.message.delivery_tag: ttl.total_seconds() for request in requests}
            if tags:
                self._renew_deliveries(tags)

    def _extend(self, requests: Iterable[Any], now: float) -> None:
        seen: dict[str, float] = {}
        for request in requests:
            queue = self._runtime.wiring.queues.get(request.name)
            held = request.message.headers.get(fence.HEADER)
            if queue is None or held is None or not queue.lifecycle.auto_heartbeat:
                continue
            last = self._renewed.get(held, now)
            seen[held] = last
            if now - last < self._interval(queue):
                continue
            seen[held] = now
            verdict, cancelled = self._runtime.ledger.extend(
                queue.name, request.id, held, queue.lifecycle.visibility_timeout
            )
            self._on_verdict(request, verdict, cancelled)
        self._renewed = seen

    def _interval(self, queue: JobQueue) -> float:
        # Also at least as often as a job that merely waits here would be taken for lost.
        lost = self._runtime.settings.lost_grace / 2
        return min(queue.lifecycle.heartbeat_interval, lost).total_seconds()


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _reserved() -> list[Any]:
    """Return the requests that this worker holds, running ones included."""
    while True:
        try:
            return list(state.reserved_requests)
        except RuntimeError:  # the event loop changed the set meanwhile
            continue
