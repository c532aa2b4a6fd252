"""The rescuer: takes jobs from holders that are gone, and ends the attempt for them.

It speaks to the ledger alone, so that no broker can hold it up: what it rescues is offered by the
stager. Any number may run at once; of two that see the same, the ledger lets one settle.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from purista_celery.errors import InvalidMessage
from purista_celery.ledger.decision import LEASE_EXPIRED, Failure, Retry
from purista_celery.ledger.reading import with_passed_leases
from purista_celery.ledger.records import Abandoned, Expired
from purista_celery.ledger.workers import Look
from purista_celery.messages.job import JobMessage
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.abandoned import abandon
from purista_celery.runtime.duty import Duty
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.results import ResultEventsOf
from purista_celery.runtime.runtime import Runtime
from purista_celery.runtime.settle import Held

log = logging.getLogger(__name__)
log.addFilter(ForeignText())

#: Jobs taken from one queue at once.
BATCH = 200


class Rescuer(Duty):
    """Ends attempts whose lease has passed or whose worker is dead.

    Args:
        publish: takes the result events of what has ended.
        rescued: called when jobs wait to be offered.
    """

    def __init__(
        self,
        runtime: Runtime,
        publish: Callable[[ResultEventsOf], None],
        rescued: Callable[[], None],
    ) -> None:
        super().__init__("rescuer", runtime.settings.custodian_interval)
        self._runtime = runtime
        self._ledger = runtime.ledger
        self._publish = publish
        self._rescued = rescued
        #: Dead workers that held nothing when all queues were looked at, and when that was.
        self._bereft: dict[str, float] = {}

    def look(self) -> bool:
        """Look after each queue on which somebody is gone."""
        seen = self._ledger.workers.look(self._runtime.settings.liveness_ttl)
        if seen is None:
            # Nobody can say that he lives. Leases may have passed for the same reason.
            return False
        served = {queue.name: queue for queue in self._runtime.served}
        dead = self._to_be_looked_at(seen)
        names = list(served) if dead else with_passed_leases(self._ledger, list(served))
        found = [self._take_from_the_gone(served[name], dead, seen) for name in names]
        if not any(found):
            self._bereft |= dict.fromkeys(dead, time.monotonic())
        return any(count == BATCH for count in found)

    def _to_be_looked_at(self, seen: Look) -> Sequence[str]:
        """Return the dead workers that may hold something; whoever looks is alive."""
        mine, now = self._runtime.fences.worker_id, time.monotonic()
        # A claim of theirs may still have been on its way.
        again = self._runtime.settings.liveness_ttl / timedelta(seconds=1)
        self._bereft = {w: at for w, at in self._bereft.items() if now - at < again}
        return [w for w in seen.dead if w != mine and w not in self._bereft]

    def _take_from_the_gone(self, queue: JobQueue, dead: Sequence[str], seen: Look) -> int:
        expired = self._ledger.expired(queue.name, dead, BATCH, renewed_since=seen.renewable_since)
        for job in expired:
            gone = Abandoned(job.worker if job.worker in dead else "", seen.until)
            try:
                self._end(queue, job, gone)
            except InvalidMessage as error:
                self._bury_unreadable(queue, job, gone, error)
        return len(expired)

    def _end(self, queue: JobQueue, job: Expired, gone: Abandoned) -> None:
        failure = Failure(
            "worker_lost" if gone.worker else LEASE_EXPIRED,
            f"Worker {job.worker} went silent.",
            # It has waited for long enough.
            delay=timedelta(0),
        )
        held = Held.by(queue, JobMessage.from_wire(job.message), job)
        if isinstance(abandon(self._runtime, held, failure, self._publish, gone), Retry):
            self._ledger.unpublished(queue.name, [job.job_id])
            self._rescued()

    def _bury_unreadable(
        self, queue: JobQueue, job: Expired, gone: Abandoned, error: InvalidMessage
    ) -> None:
        log.error("Job %s of %s has an unreadable record: %s", job.job_id, queue.name, error)
        self._ledger.bury(
            queue.name,
            job.job_id,
            job.fence,
            reason="undecodable",
            error=str(error),
            keep_key=queue.lifecycle.retry_window,
            abandoned=gone,
        )
