"""A warm shutdown: jobs get their grace period, then their leases are given back at once."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import Any

from celery.worker import state

from purista_celery.contracts.lifecycle import LongRunning
from purista_celery.errors import LedgerUnavailable
from purista_celery.ledger.records import Offer, Settled
from purista_celery.messages.job import JobMessage
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.runtime import fence
from purista_celery.runtime.abort import end_process
from purista_celery.runtime.runtime import Runtime
from purista_celery.runtime.settle import Held

log = logging.getLogger(__name__)

#: Grace of a queue without a LongRunning profile; PURISTA's ``shutdown.graceMs``.
DEFAULT_GRACE = timedelta(seconds=60)
_LOOK_EVERY = 0.2


class GracePeriod(threading.Thread):
    """Watches the jobs that still run while the worker drains."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(name="purista-grace", daemon=True)
        self._runtime = runtime
        self._ended = threading.Event()

    def begin(self) -> None:
        """The worker was told to stop; what is asked for a second time has begun already."""
        if not self.is_alive() and not self._ended.is_set():
            self.start()

    def stop(self) -> None:
        """All jobs have ended."""
        self._ended.set()

    def run(self) -> None:
        """Give back each job whose grace is over, until all have ended."""
        began = time.monotonic()
        given_back: set[str] = set()
        while not self._ended.wait(_LOOK_EVERY):
            for request in list(state.active_requests):
                waited = time.monotonic() - began
                if request.id not in given_back and waited >= self._grace(request):
                    given_back.add(request.id)
                    self._give_back(request)

    def _grace(self, request: Any) -> float:
        queue = self._runtime.wiring.queues.get(request.name)
        contract = queue.declared if queue else None
        profile: LongRunning | None = contract.profile if contract else None
        return (profile.shutdown_grace if profile else DEFAULT_GRACE).total_seconds()

    def _give_back(self, request: Any) -> None:
        queue = self._runtime.wiring.queues.get(request.name)
        held = request.message.headers.get(fence.HEADER)
        if queue is None or held is None:
            return
        try:
            record = self._runtime.ledger.held(queue.name, request.id)
            if record is None or record.fence != held:
                return
            message = self._runtime.ledger.message(queue.name, request.id)
            if message is None:
                return
            settled = self._runtime.ledger.release(queue.name, request.id, held, "service_shutdown")
            if settled is Settled.CANCEL:
                cancelled = Held.by(queue, JobMessage.from_wire(message), record)
                results = self._runtime.settler.cancel(cancelled, "cancelled")
                if results is not None:
                    self._runtime.executor.publish(results)
                    end_process(request)
                return
            if settled is not Settled.DONE:
                return
            log.warning(
                "Job %s of %s outlived its grace period and is given back", request.id, queue.name
            )
            self._runtime.producer.offer(queue, Offer(request.id, message, record.attempt - 1))
        except (LedgerUnavailable, *BROKER_ERRORS) as error:
            log.warning("Job %s could not be given back at once: %s", request.id, error)
        end_process(request)
