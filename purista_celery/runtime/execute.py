"""One delivery of a job, from claim to settle. Which way it went is returned as a value."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any, TypeVar

from celery.exceptions import SoftTimeLimitExceeded

from purista_celery.contracts.queue import Queue
from purista_celery.errors import InvalidPayload, LedgerUnavailable
from purista_celery.ledger.decision import LEASE_EXPIRED, Cancel, Failure, Retry
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import Claim, Settled, Verdict
from purista_celery.messages.job import JobMessage
from purista_celery.producer import masking, tracing
from purista_celery.producer.events import BROKER_ERRORS, EventPublisher
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.payload import dumped
from purista_celery.producer.wiring import JobQueue, Wiring
from purista_celery.runtime import handlers, process
from purista_celery.runtime.fence import worker_of
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.hindered import postpone
from purista_celery.runtime.job import RunningJob
from purista_celery.runtime.loop import HandlerLoop
from purista_celery.runtime.masking import masked_error
from purista_celery.runtime.outcome import (
    Cancelled,
    Completed,
    Ended,
    Failed,
    Hindered,
    Lost,
    Outcome,
    Settleable,
    outcome_of,
)
from purista_celery.runtime.patience import patiently
from purista_celery.runtime.reports import Reports
from purista_celery.runtime.resources import Resources
from purista_celery.runtime.results import ResultEventsOf, publish_results
from purista_celery.runtime.settle import Held, Settler, clean, line
from purista_celery.runtime.settlement import Settlement, text_of

log = logging.getLogger(__name__)
log.addFilter(ForeignText())
T = TypeVar("T")

#: How long a child that can not reach the ledger keeps trying to claim before it gives the message
#: back, and to settle beyond its lease.
CLAIM_PATIENCE = timedelta(seconds=20)
SETTLE_PATIENCE = timedelta(seconds=60)
#: Seconds. Whoever stops a worker may signal its whole process group, and a child be faster.
_STOP_ARRIVES_WITHIN = 1.0


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
        reports: Reports,
        resources: Mapping[str, Resources],
    ) -> None:
        self._wiring = wiring
        self._ledger = ledger
        self._settler = settler
        self._producer = producer
        self._publisher = publisher
        self._reports = reports
        self._resources = resources
        self._loop = HandlerLoop()

    def execute(self, message: JobMessage, fence: str) -> Execution:
        """Run ``message``'s job, if it is to be run.

        Raises:
            LedgerUnavailable: the claim could not be asked for; nothing was run.
        """
        queue = self._wiring.queue(message.queue_name)
        claim = patiently(lambda: self._claim(queue, message, fence), CLAIM_PATIENCE)
        held = Held.by(queue, message, claim)
        if claim.verdict is Verdict.EXHAUSTED:
            failure = Failure(LEASE_EXPIRED, "The last attempt's worker went silent.", fatal=True)
            return self._fail(held, failure)
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

    def _claim(self, queue: JobQueue, message: JobMessage, fence: str) -> Claim:
        answer = self._ask(queue, message, fence)
        if answer.verdict is Verdict.UNKNOWN:
            # Lost record, or accepted on another ledger: the message alone suffices. One that only
            # repeats another job's key is that job.
            if self._ledger.enqueue(message).duplicate:
                return answer
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
            if answer.verdict is Verdict.UNKNOWN:
                raise LedgerUnavailable(
                    f"The ledger has forgotten job {message.id} of {queue.name!r} as soon as it "
                    f"was told of it. Check that nothing is evicted; its message is kept."
                )
        return answer

    def _ask(self, queue: JobQueue, message: JobMessage, fence: str) -> Claim:
        return self._ledger.claim(
            queue.name,
            message.id,
            fence=fence,
            worker=worker_of(fence),
            lease=queue.lifecycle.visibility_timeout,
            longest_hold=queue.longest_hold,
            limits=queue.limits,
            process=str(os.getpid()),
        )

    def _run(self, held: Held, claim: Claim) -> Execution:
        try:
            outcome: Outcome = Completed(self._call_handler(held, claim))
        except BaseException as error:  # noqa: BLE001 - each has its meaning for the job
            outcome = outcome_of(error)
        return self._settled(held, outcome)

    def _settled(self, held: Held, outcome: Outcome) -> Execution:
        """Write down what became of the attempt, whatever comes between; never leave it held."""
        if isinstance(outcome, Ended):
            self._end(held)
            raise outcome.error
        try:
            return self._write(held, outcome)
        except LedgerUnavailable:
            raise
        except SoftTimeLimitExceeded:
            # The handler has ended: what it did counts, and to settle it again is harmless.
            return self._write(held, outcome)
        except (SystemExit, KeyboardInterrupt):
            self._write_hastily(held, outcome)
            raise
        except Exception as error:
            log.exception("The outcome of job %s can not be written as it is", held.message.id)
            return self._unwritable(held, error)

    def _write(self, held: Held, outcome: Settleable) -> Execution:
        match outcome:
            case Completed(output):
                return self._complete(held, output)
            case Lost(cause):
                # The ledger knows: a handler may have heard it of another job.
                return self._fail(held, Failure("lease_lost", text_of(cause)), cause=cause)
            case Cancelled():
                return self._cancel(held)
            case Hindered(failure, cause):
                return self._postpone(held, failure, cause)
            case Failed(failure, cause):
                return self._fail(held, failure, cause=cause)

    def _write_hastily(self, held: Held, outcome: Settleable) -> None:
        """Write down once what there is; the process is being ended, and waits for nothing."""
        try:
            if isinstance(outcome, Completed):
                self._settler.complete(held, outcome.output)
            elif isinstance(outcome, Failed):
                self._settler.fail(held, outcome.failure)
        except Exception as error:  # noqa: BLE001 - the main process settles what is left
            log.warning("Job %s was interrupted, and its outcome lost: %s", held.message.id, error)

    def _unwritable(self, held: Held, error: Exception) -> Execution:
        failure = Failure(type(error).__name__, text_of(error))
        try:
            return self._fail(held, failure)
        except (LedgerUnavailable, SoftTimeLimitExceeded):
            raise
        except Exception:
            log.exception("Job %s is buried without its result events", held.message.id)
            self._ledger.bury(
                held.queue.name,
                held.message.id,
                held.fence,
                reason="unwritable_outcome",
                error=clean(failure.reason),
                keep_key=held.queue.lifecycle.retry_window,
            )
            return Execution(Ending.BURIED, reason="unwritable_outcome")

    def _postpone(self, held: Held, failure: Failure, cause: BaseException) -> Execution:
        postponed = self._settle(held, lambda: postpone(self._ledger, held, failure))
        if postponed is not None and postponed.settled is Settled.LOST and self._recalled(held):
            postponed = self._settle(held, lambda: postpone(self._ledger, held, failure))
        if postponed is None:
            return self._fail(held, failure, cause=cause)
        if postponed.settled is Settled.CANCEL:
            return self._cancel(held)
        if postponed.settled is not Settled.DONE:
            return _lost(held, cause)
        cause = masked_error(cause, masking.secrets_of(held.queue, held.message))
        reason = line(Retry(postponed.delay, postponed.failure.reason, postponed.failure.error))
        return Execution(Ending.RETRIED, reason=reason, delay=postponed.delay, cause=cause)

    def _recalled(self, held: Held) -> bool:
        return patiently(lambda: self._settler.recall(held), CLAIM_PATIENCE)

    def _end(self, held: Held) -> None:
        """Give the job back if the worker is being stopped.

        Anything else that ends the process costs an attempt, as a SIGKILL does: a job that has its
        own process ended would be run for ever. The main process notices, and settles it.
        """
        if process.is_stopping(within=_STOP_ARRIVES_WITHIN):
            self._give_back(held)

    def _give_back(self, held: Held) -> None:
        queue, job_id = held.queue.name, held.message.id
        try:
            settled = self._ledger.release(queue, job_id, held.fence, "service_shutdown")
            if settled is Settled.CANCEL:
                self._settler.cancel(held, "cancelled")
            elif settled is Settled.DONE:
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
            reports=self._reports,
            recall=lambda: self._settler.recall(held),
        )
        value = handlers.call(queue, job, self._loop, self._wiring, self._producer)
        if not isinstance(queue.contract, Queue):
            return _nothing(queue, value)
        try:
            return dumped(
                queue.contract.output_adapter,
                value,
                f"Output of {queue.name!r}",
                self._wiring.max_payload,
            )
        except InvalidPayload as error:
            raise Settlement(Failure("invalid_output", text_of(error), fatal=True)) from error

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
        self, held: Held, failure: Failure, *, cause: BaseException | None = None
    ) -> Execution:
        if cause is not None:
            cause = masked_error(cause, masking.secrets_of(held.queue, held.message))
        settled = self._settle(held, lambda: self._settler.fail(held, failure))
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
        settled = patiently(settle, patience)
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


def _nothing(queue: JobQueue, value: Any) -> None:
    """Refuse what a handler of events may return only by mistake: nobody would run it."""
    if inspect.isgenerator(value) or inspect.isasyncgen(value) or inspect.isawaitable(value):
        error = f"{queue.name!r} returned {type(value).__name__}, whose body nobody runs."
        raise Settlement(Failure("invalid_output", error, fatal=True))


def _lost(held: Held, cause: BaseException | None = None) -> Execution:
    log.warning(
        "Job %s of %s is no longer held by this worker; its outcome here is dropped, and another "
        "attempt counts.",
        held.message.id,
        held.queue.name,
    )
    return Execution(Ending.LOST, reason="lease_lost", cause=cause)
