"""One delivery of a job, from claim to settle. Which way it went is returned as a value."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any, TypeVar

from celery.exceptions import SoftTimeLimitExceeded, WorkerShutdown, WorkerTerminate

from purista_celery.contracts.queue import Queue
from purista_celery.errors import InvalidPayload, JobCancelled, LeaseLost, LedgerUnavailable
from purista_celery.ledger.decision import LEASE_EXPIRED, Cancel, Failure, Retry
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import Claim, Settled, Verdict
from purista_celery.messages.job import JobMessage
from purista_celery.producer import masking, tracing
from purista_celery.producer.events import BROKER_ERRORS, EventPublisher
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.payload import dumped
from purista_celery.producer.wiring import JobQueue, Wiring
from purista_celery.runtime import handlers
from purista_celery.runtime.fence import worker_of
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.job import RunningJob
from purista_celery.runtime.loop import HandlerLoop
from purista_celery.runtime.masking import masked_error
from purista_celery.runtime.resources import Resources
from purista_celery.runtime.results import ResultEventsOf, publish_results
from purista_celery.runtime.settle import Held, Settler, line, said
from purista_celery.runtime.settlement import Settlement

log = logging.getLogger(__name__)
log.addFilter(ForeignText())
T = TypeVar("T")

#: How long a child that can not reach the ledger keeps trying to claim before it gives the message
#: back, and to settle beyond its lease.
CLAIM_PATIENCE = timedelta(seconds=20)
SETTLE_PATIENCE = timedelta(seconds=60)


class Ending(Enum):
    """Which way a delivery went."""

    COMPLETED = auto()
    RETRIED = auto()
    BURIED = auto()
    CANCELLED = auto()
    #: Nothing was run: the ledger did not grant the claim.
    REFUSED = auto()
    #: Something was run, but the ledger no longer takes its outcome.
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of one delivery."""

    ending: Ending
    #: As people may see it.
    output: Any = None
    reason: str = ""
    delay: timedelta = timedelta(0)
    results: ResultEventsOf | None = None
    #: What the handler raised, as people may see it.
    cause: BaseException | None = None


class Executor:
    """Claims, runs and settles the jobs of this process."""

    def __init__(
        self,
        *,
        wiring: Wiring,
        ledger: Ledger,
        settler: Settler,
        producer: JobProducer,
        publisher: EventPublisher,
        resources: Mapping[str, Resources],
    ) -> None:
        self._wiring = wiring
        self._ledger = ledger
        self._settler = settler
        self._producer = producer
        self._publisher = publisher
        self._resources = resources
        self._loop = HandlerLoop()

    def execute(self, message: JobMessage, fence: str, *, redelivered: bool) -> Execution:
        """Run ``message``'s job, if it is to be run.

        Raises:
            LedgerUnavailable: the claim could not be asked for; nothing was run.
        """
        queue = self._wiring.queue(message.queue_name)
        claim = _patiently(
            lambda: self._claim(queue, message, fence, redelivered=redelivered), CLAIM_PATIENCE
        )
        held = Held.by(queue, message, claim)
        if claim.verdict is Verdict.EXHAUSTED:
            failure = Failure(LEASE_EXPIRED, "The last attempt's worker went silent.", fatal=True)
            return self._fail(held, failure, abandoned_by=worker_of(claim.fence))
        if claim.verdict is not Verdict.GRANTED:
            log.info("Job %s of %s is not run: %s", message.id, queue.name, claim.verdict)
            return Execution(Ending.REFUSED, reason=claim.verdict.value)
        with tracing.hop(
            "consumer",
            f"process {queue.name}",
            trace_id=message.trace_id,
            parent_span_id=message.parent_span_id,
            attributes={
                "messaging.destination.name": queue.name,
                "messaging.message.id": message.id,
                "purista.attempt": claim.attempt,
            },
        ):
            return self._run(held, claim)

    def publish(self, results: ResultEventsOf) -> None:
        """Publish result events that were committed with an outcome."""
        publish_results(results, self._publisher, self._ledger)

    def _claim(
        self, queue: JobQueue, message: JobMessage, fence: str, *, redelivered: bool
    ) -> Claim:
        answer = self._ask(queue, message, fence)
        if answer.verdict is Verdict.UNKNOWN:
            # Lost record, or accepted on another ledger: the message alone suffices.
            self._ledger.enqueue(message)
            if self._ledger.may_have_ended(message):
                # Its record may have been kept for as long as records are kept. It is not run
                # again unseen, and not forgotten: somebody decides, and redrives or purges it.
                reason, error = "record_expired", "It may have completed before its record expired."
                self._ledger.bury(
                    queue.name,
                    message.id,
                    "",
                    reason=reason,
                    error=error,
                    keep_key=queue.lifecycle.retry_window,
                )
            answer = self._ask(queue, message, fence)
        if answer.verdict is Verdict.HELD and redelivered:
            # The broker saw the holder's connection end. If the ledger's Redis saw that too, the
            # holder is dead, and nobody needs to wait for its lease.
            holder = worker_of(answer.fence)
            if not self._ledger.workers.is_present(holder):
                answer = self._ask(queue, message, fence, dead_worker=holder)
        return answer

    def _ask(
        self, queue: JobQueue, message: JobMessage, fence: str, dead_worker: str = ""
    ) -> Claim:
        return self._ledger.claim(
            queue.name,
            message.id,
            fence=fence,
            worker=worker_of(fence),
            lease=queue.lifecycle.visibility_timeout,
            longest_hold=queue.longest_hold,
            limits=queue.limits,
            dead_worker=dead_worker,
        )

    def _run(self, held: Held, claim: Claim) -> Execution:
        try:
            output = self._call_handler(held, claim)
        except LeaseLost as error:
            return _lost(held, error)
        except JobCancelled:
            return self._cancel(held)
        except Settlement as settlement:
            return self._fail(held, settlement.failure)
        except BaseException as error:
            if _is_ending(error):
                self._give_back(held)
                raise
            return self._fail(held, _failure_of(error), cause=error)
        return self._complete(held, output)

    def _give_back(self, held: Held) -> None:
        queue, job_id = held.queue.name, held.message.id
        try:
            if self._ledger.release(queue, job_id, held.fence, "service_shutdown") is Settled.DONE:
                self._ledger.unpublished(queue, [job_id])
        except LedgerUnavailable as error:
            log.warning("Job %s could not be given back: %s", job_id, error)

    def _call_handler(self, held: Held, claim: Claim) -> Any:
        queue = held.queue
        payload, parameter = handlers.read_payload(queue, held.message)
        job = RunningJob(
            queue=queue,
            message=held.message,
            claim=claim,
            payload=payload,
            parameter=parameter,
            resources=self._resources.get(queue.contract.service_name),
            wiring=self._wiring,
            ledger=self._ledger,
            producer=self._producer,
            publisher=self._publisher,
        )
        value = handlers.call(queue, job, self._loop, self._wiring, self._producer)
        if not isinstance(queue.contract, Queue):
            return None
        try:
            return dumped(
                queue.contract.output_adapter,
                value,
                f"Output of {queue.name!r}",
                self._wiring.max_payload,
            )
        except InvalidPayload as error:
            raise Settlement(Failure("invalid_output", said(error), fatal=True)) from error

    def _complete(self, held: Held, output: Any) -> Execution:
        results = self._settle(held, lambda: self._settler.complete(held, output))
        if results is None:
            return _lost(held)
        shown = masking.output(held.queue, output)
        return Execution(Ending.COMPLETED, output=shown, results=results)

    def _cancel(self, held: Held) -> Execution:
        results = self._settle(held, lambda: self._settler.cancel(held, "cancelled"))
        if results is None:
            return _lost(held)
        return Execution(Ending.CANCELLED, reason="cancelled", results=results)

    def _fail(
        self,
        held: Held,
        failure: Failure,
        *,
        cause: BaseException | None = None,
        abandoned_by: str | None = None,
    ) -> Execution:
        if cause is not None:
            cause = masked_error(cause, masking.secrets_of(held.queue, held.message))
        settled = self._settle(
            held, lambda: self._settler.fail(held, failure, if_abandoned_by=abandoned_by)
        )
        if settled is None:
            return _lost(held, cause)
        decision, results = settled
        if isinstance(decision, Retry):
            return Execution(
                Ending.RETRIED, reason=line(decision), delay=decision.delay, cause=cause
            )
        ending = Ending.CANCELLED if isinstance(decision, Cancel) else Ending.BURIED
        return Execution(ending, reason=line(decision), results=results, cause=cause)

    def _settle(self, held: Held, settle: Callable[[], T]) -> T:
        # An outcome is worth waiting for a ledger that is away, for as long as the lease may last.
        patience = held.queue.lifecycle.visibility_timeout + SETTLE_PATIENCE
        settled = _patiently(settle, patience)
        if held.queue.must_wait:
            self._offer_next(held.queue)
        return settled

    def _offer_next(self, queue: JobQueue) -> None:
        """Let a job in that was refused because another had to end first."""
        for offer in self._ledger.take_urgent(queue.name, 1, queue.limits):
            try:
                self._producer.offer(queue, offer)
            except BROKER_ERRORS:
                self._ledger.unpublished(queue.name, [offer.job_id])


def _lost(held: Held, cause: BaseException | None = None) -> Execution:
    log.warning(
        "Job %s of %s is no longer held by this worker; its outcome here is dropped, and another "
        "attempt counts.",
        held.message.id,
        held.queue.name,
    )
    return Execution(Ending.LOST, reason="lease_lost", cause=cause)


def _failure_of(error: BaseException) -> Failure:
    if isinstance(error, InvalidPayload):
        return Failure("invalid_payload", said(error), fatal=True)
    if isinstance(error, SoftTimeLimitExceeded):
        return Failure("max_runtime_exceeded", "The handler ran longer than max_runtime.")
    return Failure(type(error).__name__, said(error))


def _is_ending(error: BaseException) -> bool:
    """Tell whether the process is being ended, from a handler that calls ``sys.exit``."""
    if isinstance(error, WorkerShutdown | WorkerTerminate):
        return True
    # Billiard's children exit with -(256 - signal) when they are told to stop.
    code = error.code if isinstance(error, SystemExit) else None
    return isinstance(code, int) and -256 < code <= -256 + signal.NSIG


def _patiently(ask: Callable[[], T], patience: timedelta) -> T:
    until = time.monotonic() + patience.total_seconds()
    waited = False
    while True:
        try:
            return ask()
        except LedgerUnavailable:
            if time.monotonic() >= until:
                raise
            level = logging.DEBUG if waited else logging.WARNING
            log.log(level, "The ledger does not answer; trying again.")
            waited = True
            time.sleep(0.5)
