"""A worker's end: jobs get their grace period, then their leases are given back at once.

A job that is given back begins elsewhere, so it must not go on here. Where it has a process of its
own, that is ended. A thread can not be ended alone: there the whole process ends, once none of its
jobs has any time left.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from celery.platforms import EX_FAILURE, EX_OK
from celery.worker import state

from purista_celery.contracts.lifecycle import LongRunning
from purista_celery.errors import InvalidMessage, LedgerUnavailable
from purista_celery.messages.job import JobMessage
from purista_celery.runtime import fence, freezing
from purista_celery.runtime.abandoned import give_back
from purista_celery.runtime.runtime import Runtime

log = logging.getLogger(__name__)

#: Grace of a queue without a LongRunning profile; PURISTA's ``shutdown.graceMs``.
DEFAULT_GRACE = timedelta(seconds=60)
#: Seconds that threads have to come to their end when the worker is to stop at once.
COLD_GRACE = 5.0
_LOOK_EVERY = 0.2
_COLD = "purista-cold"


class GracePeriod(threading.Thread):
    """Watches the jobs that still run while the worker drains.

    Args:
        most: seconds of grace for each job, however much its queue gives.
        status: the worker's exit status, where jobs that are given back end it.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        most: float = float("inf"),
        status: int = EX_OK,
        name: str = "purista-grace",
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._runtime = runtime
        self._most = most
        self._status = status
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
        while not self._ended.wait(_LOOK_EVERY):
            waited = time.monotonic() - began
            in_threads = []
            for request in list(state.active_requests):
                if not freezing.has_process(request):
                    in_threads.append(request)
                elif waited >= self._grace(request) and not request.is_given_back:
                    self._end(request)
            if in_threads and all(waited >= self._grace(each) for each in in_threads):
                self._end_all(in_threads)

    def _grace(self, request: Any) -> float:
        queue = self._runtime.wiring.queues.get(request.name)
        if queue is None:
            return float("inf")  # A task of somebody else's: Celery waits for it.
        contract = queue.declared
        profile: LongRunning | None = contract.profile if contract else None
        grace = profile.shutdown_grace if profile else DEFAULT_GRACE
        return min(grace.total_seconds(), self._most)

    def _end(self, request: Any) -> None:
        with freezing.frozen(request) as process:
            if process is None:
                return
            log.warning("Job %s of %s outlived its grace period", request.id, request.name)
            # If the ledger is away, the main process gives it back once it notices.
            request.is_given_back = True
            if self._give_back(request):
                process.kill()

    def _end_all(self, requests: list[Any]) -> None:
        log.warning("%d jobs outlived their grace period in threads; ending", len(requests))
        for request in requests:
            self._give_back(request)
        with suppress(LedgerUnavailable):
            self._runtime.ledger.workers.retire(self._runtime.fences.worker_id)
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(self._status)

    def _give_back(self, request: Any) -> bool:
        """Give a job back; tell whether it is not to go on here."""
        held = request.message.headers.get(fence.HEADER)
        if held is None:
            return False
        try:
            message = JobMessage.from_kwargs(request.message.payload[1])
            return give_back(self._runtime, message, held)
        except InvalidMessage:
            return False
        except LedgerUnavailable as error:
            log.warning("Job %s could not be given back at once: %s", request.id, error)
            return True


def end_soon(runtime: Runtime) -> None:
    """End a worker that is to stop at once, and whose threads may not (once is enough)."""
    if not any(thread.name == _COLD for thread in threading.enumerate()):
        GracePeriod(runtime, most=COLD_GRACE, status=EX_FAILURE, name=_COLD).begin()
