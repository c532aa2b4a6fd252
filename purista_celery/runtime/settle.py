"""Settling: what became of an attempt is written to the ledger, with its result events, at once."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from purista_celery.ledger.decision import Bury, Cancel, Failure, Retry, decide
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import Abandoned, Claim, Expired, Holding, Settled
from purista_celery.messages.job import JobMessage
from purista_celery.messages.printable import printable
from purista_celery.messages.result import ResultStatus
from purista_celery.producer import masking
from purista_celery.producer.wiring import JobQueue, Wiring
from purista_celery.runtime.fence import worker_of
from purista_celery.runtime.results import ResultEventsOf, result_events

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """One attempt at a job, as its holder, or whoever settles for it, must show it."""

    queue: JobQueue
    message: JobMessage
    fence: str
    attempt: int
    max_attempts: int
    #: Milliseconds since the epoch; the retry window counts from here.
    window_start: int
    #: How often the job was a dead letter and tried again.
    redrives: int = 0
    #: The reason of the failure before, and of how many in a row.
    failed_for: str = ""
    failed_times: int = 0

    @classmethod
    def by(cls, queue: JobQueue, message: JobMessage, claim: Claim | Expired) -> Held:
        """Return the attempt that ``claim`` is of."""
        return cls(
            queue,
            message,
            claim.fence,
            claim.attempt,
            claim.max_attempts,
            claim.window_start,
            claim.redrives,
            claim.failed_for,
            claim.failed_times,
        )

    @property
    def holding(self) -> Holding:
        """What a ledger needs to be told that has lost it."""
        return Holding(
            fence=self.fence,
            worker=worker_of(self.fence),
            attempt=self.attempt,
            redrives=self.redrives,
            window_start=self.window_start,
            lease=self.queue.lifecycle.visibility_timeout,
            longest_hold=self.queue.longest_hold,
        )

    def in_a_row(self, reason: str) -> int:
        """Return how many attempts have failed for ``reason`` once this one has, too."""
        return self.failed_times + 1 if self.failed_for == reason else 1


class Settler:
    """Settles attempts. Every method returns None where the fence is no longer the holder's."""

    def __init__(self, wiring: Wiring, ledger: Ledger) -> None:
        self._wiring = wiring
        self._ledger = ledger

    def complete(self, held: Held, output: Any) -> ResultEventsOf | None:
        """Settle as completed, with its ``output`` (JSON-able)."""
        results = self._results(held, "success", output=output)

        def complete() -> bool:
            return self._ledger.complete(
                held.queue.name,
                held.message.id,
                held.fence,
                json.dumps(output),
                keep_key=held.queue.lifecycle.retry_window,
                event=next(iter(results.for_outbox), None),
            )

        return results if complete() or (self.recall(held) and complete()) else None

    def cancel(self, held: Held, reason: str) -> ResultEventsOf | None:
        """Settle as cancelled; without a fence, only what nobody holds."""
        results = self._results(held, "cancelled", reason=reason)

        def cancel() -> bool:
            answer = self._ledger.cancel(
                held.queue.name,
                held.message.id,
                fence=held.fence,
                reason=reason,
                keep_key=held.queue.lifecycle.retry_window,
                event=next(iter(results.for_outbox), None),
            )
            return answer == "done"

        return results if cancel() or (self.recall(held) and cancel()) else None

    def fail(
        self, held: Held, failure: Failure, *, abandoned: Abandoned | None = None
    ) -> tuple[Retry | Bury | Cancel, ResultEventsOf | None] | None:
        """Settle as failed: decide what follows, and do it.

        Args:
            abandoned: who settles is not the holder, and this is why he may.

        Returns:
            The decision, with the result events of a dead letter or a cancelled job.
        """
        # Before anything is cut: half a secret would not be found.
        secrets = masking.secrets_of(held.queue, held.message)
        failure = replace(
            failure,
            reason=clean(secrets.hidden_in(failure.reason)),
            error=clean(secrets.hidden_in(failure.error)),
        )
        # By the ledger's clock, as all of a job's times: workers' clocks may differ.
        age = timedelta(milliseconds=self._ledger.workers.now_ms() - held.window_start)
        decision = decide(
            failure,
            held.queue.lifecycle,
            held.attempt,
            held.max_attempts,
            age,
            in_a_row=held.in_a_row(failure.reason),
        )
        if isinstance(decision, Retry):
            settled = self._retry(held, decision, abandoned)
            if settled is Settled.LOST and abandoned is None and self.recall(held):
                settled = self._retry(held, decision, abandoned)
            if settled is Settled.CANCEL:
                cancelled = self.cancel(held, Cancel().reason)
                return (Cancel(), cancelled) if cancelled else None
            return (decision, None) if settled is Settled.DONE else None
        results = self._results(held, "failed", "dead-lettered", reason=line(decision))

        def bury() -> bool:
            return self._ledger.bury(
                held.queue.name,
                held.message.id,
                held.fence,
                reason=decision.reason,
                error=decision.error,
                keep_key=held.queue.lifecycle.retry_window,
                events=results.for_outbox,
                abandoned=abandoned,
                pause=decision.pause,
            )

        done = bury() or (abandoned is None and self.recall(held) and bury())
        if done and decision.pause:
            log.error(
                "Queue %s is paused everywhere: job %s failed %d times for the same reason (%s). "
                "Mend the cause, then resume the queue and redrive the job.",
                held.queue.name,
                held.message.id,
                held.in_a_row(failure.reason),
                failure.reason,
            )
        return (decision, results) if done else None

    def _retry(self, held: Held, decision: Retry, abandoned: Abandoned | None) -> Settled:
        return self._ledger.retry(
            held.queue.name,
            held.message.id,
            held.fence,
            delay=decision.delay,
            reason=decision.reason,
            error=decision.error,
            abandoned=abandoned,
        )

    def recall(self, held: Held) -> bool:
        """Tell a ledger that has lost it that the job is held; False where it knows better."""
        if not held.fence or not self._ledger.recall(held.message, held.holding):
            return False
        log.warning(
            "The ledger had lost that job %s of %s was held; it knows again.",
            held.message.id,
            held.queue.name,
        )
        return True

    def _results(
        self, held: Held, *statuses: ResultStatus, output: object = None, reason: str | None = None
    ) -> ResultEventsOf:
        return result_events(
            self._wiring,
            held.queue,
            held.message,
            statuses,
            attempt=held.attempt,
            output=output,
            reason=reason,
            # What happens after a redrive is news; consumers drop repeats by the id.
            id_suffix=f":{held.redrives}" if held.redrives else "",
        )


#: Characters of an error that are kept.
_LONGEST_ERROR = 4000


def said(error: BaseException) -> str:
    """Return what an error says, whatever it says; :meth:`Settler.fail` makes it fit to store."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error that can not even be printed is still an error
        return f"({type(error).__name__} that can not be printed)"


def clean(text: str) -> str:
    """Return ``text`` without lone surrogates, and not endless; it may have several lines."""
    return text[:_LONGEST_ERROR].encode("utf-8", "backslashreplace").decode("utf-8")


def line(decision: Retry | Bury | Cancel) -> str:
    """Return a decision's reason and error as one line for logs, events and Flower."""
    text = f"{decision.reason}: {decision.error}" if decision.error else decision.reason
    return printable(text)
