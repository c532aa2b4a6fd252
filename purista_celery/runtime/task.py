"""The Celery task that a queue compiles to: hands a delivery to the executor and tells Celery."""

from __future__ import annotations

import logging
import uuid
from typing import Any, ClassVar

from celery import Task, signals
from celery.exceptions import Ignore, Reject, Retry

from purista_celery.errors import (
    AttemptFailed,
    DeadLettered,
    LedgerUnavailable,
    UnsupportedContract,
)
from purista_celery.messages.job import JobMessage
from purista_celery.runtime import fence
from purista_celery.runtime.execute import Ending, Execution, Executor
from purista_celery.runtime.foreign import ForeignText

log = logging.getLogger(__name__)
log.addFilter(ForeignText())


class JobTask(Task):
    """Base of all compiled tasks; ``name`` is the queue's name, ``task_id`` the job's id."""

    abstract = True
    Request = "purista_celery.runtime.request:JobRequest"
    acks_late = True
    # A failed attempt is settled in the ledger; its message has done its duty.
    acks_on_failure_or_timeout = True
    reject_on_worker_lost = False
    ignore_result = True
    # We log a dead letter ourselves: with a traceback only where the handler raised something.
    throws = (DeadLettered,)
    typing = False
    max_retries: ClassVar[int | None] = None

    #: Set on the compiled subclass.
    executor: Executor

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Refuse ``delay`` and ``apply_async``: a job is accepted by the ledger first.

        Raises:
            UnsupportedContract: always.
        """
        raise UnsupportedContract(
            f"{self.name!r} is a queue of jobs: enqueue with app.purista.enqueue(queue, payload)."
        )

    def run(self, **kwargs: Any) -> Any:
        """Run one delivery; what Celery is told is for Celery's tools, the ledger knows already."""
        request = self.request
        delivery = request.get(fence.HEADER) or f"eager-{uuid.uuid4().hex}/1"
        try:
            execution = self.executor.execute(JobMessage.from_kwargs(kwargs), delivery)
        except LedgerUnavailable as error:
            log.error("Job %s goes back to the broker: %s", request.id, error)  # noqa: TRY400
            raise Reject(error, requeue=True) from error
        request.purista_results = execution.results
        return self._tell(execution)

    def _tell(self, execution: Execution) -> Any:
        if execution.ending is Ending.COMPLETED:
            return execution.output
        if execution.ending is Ending.RETRIED:
            # Nothing is published for it: the ledger keeps the delay, a stager offers the job.
            raise Retry(
                message=execution.reason,
                exc=AttemptFailed(execution.reason),
                when=round(execution.delay.total_seconds(), 3),
            ) from execution.cause
        if execution.ending is Ending.BURIED:
            log.error(
                "Job %s of %s is a dead letter: %s",
                self.request.id,
                self.name,
                execution.reason,
                exc_info=execution.cause,
            )
            raise DeadLettered(execution.reason) from execution.cause
        if execution.ending is Ending.CANCELLED:
            self.send_event("task-revoked", terminated=False, expired=False, signum=None)
        raise Ignore(execution.reason)


@signals.task_postrun.connect(weak=False, dispatch_uid="purista.publish_results")
def publish_committed_results(task: Any = None, **_: Any) -> None:
    """Publish what the ledger has committed; a crash before this leaves it in the outbox."""
    results = getattr(getattr(task, "request", None), "purista_results", None)
    if isinstance(task, JobTask) and results is not None:
        task.executor.publish(results)
