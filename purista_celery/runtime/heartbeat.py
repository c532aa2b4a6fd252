"""The heartbeat: says that this worker lives, and renews what it holds.

Daemon threads of the main process with connections of their own: draining, a soft shutdown and the
solo pool each stop Celery's event loop, and a lease must not depend on it. Nor must one duty depend
on another's server: a broker that is away is no reason to let the ledger's leases pass.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from celery.worker import state

from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import Holding, Renewed
from purista_celery.ledger.workers import ANNOUNCEMENTS_PER_LIFE
from purista_celery.messages.job import JobMessage
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime import fence
from purista_celery.runtime.duty import Duty
from purista_celery.runtime.runtime import Runtime

#: How often it is looked which leases are to be renewed.
TICK = timedelta(seconds=0.5)
#: How often deliveries are renewed, as a part of the time for which they are.
RENEWALS_PER_LEASE = 5

OnVerdict = Callable[[Any, str, bool], None]


class Heartbeat:
    """The duties of a worker that lives; ended after its last job has.

    Args:
        renew_deliveries: called with ``{delivery tag: seconds}`` where the broker's own leases
            need renewing (our Redis transport).
        on_verdict: told of each renewed job what the ledger said and whether to cancel it.
        on_stray: told of queue, job and fence of what the ledger says that this worker holds, and
            of which it knows that it is over.
    """

    def __init__(
        self,
        runtime: Runtime,
        renew_deliveries: Callable[[dict[str, float]], Any] | None,
        on_verdict: OnVerdict,
        on_stray: Callable[[str, str, str], Any],
    ) -> None:
        leases = Leases(runtime, on_verdict)
        self._announcer = Announcer(runtime, on_gap=leases.renew_all)
        self._duties: list[Duty] = [self._announcer, leases, Strays(runtime, on_stray)]
        if renew_deliveries is not None:
            self._duties.append(Deliveries(runtime.settings.liveness_ttl, renew_deliveries))

    def start(self) -> None:
        """Start all threads."""
        for duty in self._duties:
            duty.start()

    def stop(self) -> None:
        """End the threads, and say that this worker has gone in good order."""
        for duty in self._duties:
            duty.stop()
        for duty in self._duties:
            if duty.is_alive():
                duty.join(timeout=5)
        self._announcer.retire()


class Announcer(Duty):
    """Says that this worker lives.

    Args:
        on_gap: called when nobody could say so for a while: leases may have passed meanwhile.
    """

    def __init__(self, runtime: Runtime, on_gap: Callable[[], None]) -> None:
        self._ttl = runtime.settings.liveness_ttl
        super().__init__("announcer", self._ttl / ANNOUNCEMENTS_PER_LIFE)
        self._worker_id = runtime.fences.worker_id
        # An answer that takes longer is asked for again: it is worth nothing by then.
        self._workers = runtime.ledger.apart(self._ttl / RENEWALS_PER_LEASE).workers
        self._on_gap = on_gap
        self._since: int | None = None

    def look(self) -> bool:
        """Announce this worker."""
        since = self._workers.announce(self._worker_id, self._ttl)
        if self._since not in (None, since):
            self._on_gap()
        self._since = since
        return False

    def retire(self) -> None:
        """Say that this worker has gone; who can not be told finds out."""

        def retire() -> bool:
            self._workers.retire(self._worker_id)
            return False

        self._trouble.tell(retire)


class Deliveries(Duty):
    """Renews the broker's leases of all deliveries that this worker has."""

    def __init__(self, lease: timedelta, renew: Callable[[dict[str, float]], Any]) -> None:
        super().__init__("delivery renewer", lease / RENEWALS_PER_LEASE)
        self._lease = lease.total_seconds()
        self._renew = renew

    def look(self) -> bool:
        """Renew them all."""
        tags = {request.message.delivery_tag: self._lease for request in reserved()}
        if tags:
            self._renew(tags)
        return False


class Leases(Duty):
    """Renews the ledger's leases of the jobs that this worker holds, each when it is due for it."""

    def __init__(self, runtime: Runtime, on_verdict: OnVerdict) -> None:
        super().__init__("lease renewer", TICK)
        self._ledger: Ledger = runtime.ledger.apart(runtime.settings.ledger_timeout)
        self._queues: Mapping[str, JobQueue] = runtime.wiring.queues
        self._longest_pause = runtime.settings.lost_grace / 2
        self._on_verdict = on_verdict
        #: When each delivery was last renewed, or first seen.
        self._renewed: dict[str, float] = {}
        #: They are all due, whatever was done when.
        self._all_due = threading.Event()
        #: What the ledger said of each delivery that holds its job.
        self._held: dict[str, Renewed] = {}

    def renew_all(self) -> None:
        """Renew them all at once, due or not (called by other threads)."""
        self._all_due.set()
        self.wake()

    def look(self) -> bool:
        """Renew what is due."""
        now = time.monotonic()
        if self._all_due.is_set():
            self._all_due.clear()
            self._renewed = dict.fromkeys(self._renewed, float("-inf"))
        requests = {held: request for request in reserved() if (held := _fence_of(request))}
        self._renewed = {held: self._renewed.get(held, now) for held in requests}
        self._held = {held: known for held, known in self._held.items() if held in requests}
        due = [(held, request) for held, request in requests.items() if self._is_due(held, request)]
        answers = self._ledger.extend_many(
            [(request.name, request.id, held, self._lease(request)) for held, request in due]
        )
        for (held, request), answer in zip(due, answers, strict=True):
            self._renewed[held] = now
            self._learn(held, request, answer)
        return False

    def _is_due(self, held: str, request: Any) -> bool:
        queue = self._queues.get(request.name)
        if queue is None or not queue.lifecycle.auto_heartbeat:
            return False
        # Also at least as often as a job that merely waits here would be taken for lost.
        pause = min(queue.lifecycle.heartbeat_interval, self._longest_pause).total_seconds()
        return time.monotonic() - self._renewed[held] >= pause

    def _lease(self, request: Any) -> timedelta:
        return self._queues[request.name].lifecycle.visibility_timeout

    def _learn(self, held: str, request: Any, answer: Renewed) -> None:
        if answer.verdict == "held":
            self._held[held] = answer
        elif answer.verdict in ("waiting", "unknown") and request in state.active_requests:
            self._recall(held, request)
        self._on_verdict(request, answer.verdict, answer.cancel_requested)

    def _recall(self, held: str, request: Any) -> None:
        """Tell a ledger that has gone back in time what it said itself: that the job is held."""
        known = self._held.get(held)
        if known is None:
            return
        queue = self._queues[request.name]
        holding = Holding(
            fence=held,
            worker=fence.worker_of(held),
            attempt=known.attempt,
            redrives=known.redrives,
            window_start=known.window_start,
            lease=queue.lifecycle.visibility_timeout,
            longest_hold=queue.longest_hold,
        )
        self._ledger.recall(JobMessage.from_kwargs(request.message.payload[1]), holding)


class Strays(Duty):
    """Finds what the ledger says that this worker holds, and what this worker knows to be over.

    A ledger that has gone back in time (a replica that lagged was promoted) has forgotten how it
    ended; a claim whose answer got lost was never begun. Nobody else can tell it from a job that
    runs at a living worker, and its lease may be long.
    """

    def __init__(self, runtime: Runtime, on_stray: Callable[[str, str, str], Any]) -> None:
        super().__init__("stray finder", runtime.settings.liveness_ttl)
        self._ledger = runtime.ledger.apart(runtime.settings.ledger_timeout)
        self._fences = runtime.fences
        self._queues = [queue.name for queue in runtime.served]
        self._on_stray = on_stray

    def look(self) -> bool:
        """Give up each of them."""
        held = self._ledger.held_by(self._fences.worker_id, self._queues)
        for queue, job_id, held_as in held:
            if self._fences.is_over(held_as):
                self._on_stray(queue, job_id, held_as)
        return False


def _fence_of(request: Any) -> str | None:
    held = request.message.headers.get(fence.HEADER)
    return None if held is None else str(held)


def reserved() -> list[Any]:
    """Return the requests that this worker holds, running ones included."""
    while True:
        try:
            return list(state.reserved_requests)
        except RuntimeError:  # the event loop changed the set meanwhile
            continue
