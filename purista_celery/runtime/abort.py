"""Ending the pool process of a job that must not go on: cancelled and deaf, or held by another."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from celery.worker import state

from purista_celery.messages.job import JobMessage
from purista_celery.runtime import fence, freezing
from purista_celery.runtime.abandoned import held_by
from purista_celery.runtime.results import ResultEventsOf
from purista_celery.runtime.runtime import Runtime

log = logging.getLogger(__name__)


class Aborter:
    """Acts on what the heartbeat learns about the jobs of this worker.

    Args:
        publish: takes the result events of what has ended.
    """

    def __init__(self, runtime: Runtime, publish: Callable[[ResultEventsOf], None]) -> None:
        self._runtime = runtime
        self._publish = publish
        self._cancelled_since: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def on_verdict(self, request: Any, verdict: str, cancelled: bool) -> None:  # noqa: FBT001
        """React to the ledger's answer to a renewal of ``request``'s lease."""
        if verdict == "lost":
            self._on_lost(request)
        elif verdict == "held" and cancelled:
            self._on_cancelled(request)

    def _on_lost(self, request: Any) -> None:
        if request not in state.active_requests:
            return
        # A job that has just been settled looks lost too; then the request is about to go.
        queue = self._runtime.wiring.queues.get(request.name)
        contract = queue.declared if queue else None
        held = self._runtime.ledger.held(request.name, request.id)
        if held is None or contract is None or contract.profile is None:
            return
        log.warning("Job %s of %s is held by another worker now.", request.id, request.name)
        if contract.profile.on_lease_lost == "abort":
            end_process(request)

    def _on_cancelled(self, request: Any) -> None:
        since = self._cancelled_since.setdefault(request, time.monotonic())
        if time.monotonic() - since < self._runtime.settings.cancel_grace.total_seconds():
            return
        # Once it is cancelled, another may take its place.
        with freezing.frozen(request) as process:
            message = JobMessage.from_kwargs(request.message.payload[1])
            attempt = held_by(self._runtime, message, request.message.headers[fence.HEADER])
            results = self._runtime.settler.cancel(attempt, "cancelled") if attempt else None
            if results is not None and process is not None:
                process.kill()
        if results is not None:
            self._publish(results)


def end_process(request: Any) -> bool:
    """Kill the pool process that runs ``request``; False where it has no process of its own."""
    with freezing.frozen(request) as process:
        if process is not None:
            process.kill()
    return process is not None
