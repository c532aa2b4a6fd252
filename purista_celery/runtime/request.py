"""Celery's request, with an answer for what only the main process sees: the child is gone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.concurrency.solo import TaskPool as SoloPool
from celery.exceptions import (
    Ignore,
    Reject,
    Retry,
    Terminated,
    TimeLimitExceeded,
    WorkerLostError,
    WorkerTerminate,
)
from celery.platforms import EX_FAILURE
from celery.worker.request import Request

from purista_celery.errors import DeadLettered, InvalidMessage, LedgerUnavailable
from purista_celery.ledger.decision import Failure
from purista_celery.messages.job import JobMessage
from purista_celery.runtime import fence, freezing
from purista_celery.runtime.abandoned import abandon, give_back, held_by
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.process import begin_stopping
from purista_celery.runtime.runtime import runtime_of
from purista_celery.runtime.settlement import text_of
from purista_celery.runtime.shutdown import end_soon

log = logging.getLogger(__name__)
log.addFilter(ForeignText())

#: How a task of ours tells Celery what was settled already; :meth:`JobRequest.on_timeout` follows
#: on the last one.
_TOLD = (Retry, Ignore, Reject, DeadLettered, TimeLimitExceeded)
#: Seconds between attempts to settle while the ledger is away.
_SETTLE_EVERY = 1.0


class JobRequest(Request):
    """Settles in the ledger what a child that died, or was ended, could not settle itself."""

    #: Whether we end its process without blame, so that its attempt does not count.
    is_given_back = False

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 - Celery's signature
        """Settle an attempt that outlived its hard time limit."""
        if not soft:
            failure = Failure("max_runtime_exceeded", f"Ended after {timeout} s.")
            self._settle(partial(self._abandon, failure))
        super().on_timeout(soft, timeout)

    def on_failure(
        self,
        exc_info: Any,
        send_failed_event: bool = True,  # noqa: FBT001 - Celery's signature
        return_ok: bool = False,  # noqa: FBT001
    ) -> Any:
        """Settle an attempt whose process died."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, WorkerLostError | Terminated | SystemExit | KeyboardInterrupt):
            self._on_lost(Failure("worker_lost", f"The worker's pool process died: {error}"))
        elif isinstance(error, MemoryError):
            # Celery would end the whole worker for it, and the next one after that.
            self._settle(partial(self._abandon, Failure("MemoryError", str(error))))
            self.acknowledge()
            return None
        elif not isinstance(error, _TOLD):
            # The child settles whatever a handler raises. What comes here came in between.
            self._settle(partial(self._abandon, Failure(type(error).__name__, text_of(error))))
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def acknowledge(self) -> None:
        """Acknowledge the message (called by Celery): this delivery is over."""
        self._end()
        super().acknowledge()

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001 - Celery's signature
        """Give the message back (called by Celery): this delivery is over."""
        self._end()
        super().reject(requeue)

    def _end(self) -> None:
        held = self.message.headers.get(fence.HEADER)
        if held is not None:
            runtime_of(self.app).fences.end(str(held))

    def info(self, safe: bool = False) -> Any:  # noqa: FBT001 - Celery's signature
        """Return what ``celery inspect`` and Flower show of it: of a sensitive job, what is masked.

        Celery's would answer ``inspect active`` with all arguments as they are.
        """
        queue = runtime_of(self.app).wiring.queues.get(self.name)
        return super().info(safe=safe or (queue is not None and queue.is_sensitive))

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:  # noqa: FBT001 - Celery's signature
        """End it without blame (called by Celery for each running task, in a cold shutdown)."""
        self.is_given_back = True
        runtime = runtime_of(self.app)
        if not runtime.app.conf.worker_cancel_long_running_tasks_on_connection_loss:
            begin_stopping()
        if freezing.has_process(self):
            super().cancel(pool, signal, emit_retry)
        elif isinstance(pool, SoloPool):
            # It runs in this very thread, below the signal handler that Celery calls this from.
            raise WorkerTerminate(EX_FAILURE)
        else:
            end_soon(runtime)

    def _on_lost(self, failure: Failure) -> None:
        if self.is_given_back or freezing.was_meant_for_another(self.worker_pid, self.id):
            self._settle(self._give_back)
        else:
            self._settle(partial(self._abandon, failure))

    def _settle(self, settle: Callable[[], None]) -> None:
        try:
            settle()
        except InvalidMessage as error:
            log.warning("Job %s lost its process and can not be settled: %s", self.id, error)
        except LedgerUnavailable as error:
            log.warning(
                "Job %s lost its process and could not be settled yet (%s); trying again.",
                self.id,
                error,
            )
            # Its lease may be long, and Celery's event loop is not to wait for a ledger.
            threading.Thread(target=self._settle_later, args=[settle], daemon=True).start()

    def _settle_later(self, settle: Callable[[], None]) -> None:
        queue = runtime_of(self.app).wiring.queue(self.name)
        until = time.monotonic() + queue.lifecycle.visibility_timeout.total_seconds()
        while time.monotonic() < until:
            time.sleep(_SETTLE_EVERY)
            try:
                settle()
            except LedgerUnavailable:
                continue
            return
        # The lease has run out; a rescuer takes care of it.

    def _abandon(self, failure: Failure) -> None:
        held = self.message.headers.get(fence.HEADER)
        if held is None:
            return
        runtime = runtime_of(self.app)
        message = JobMessage.from_kwargs(self.message.payload[1])
        attempt = held_by(runtime, message, held)
        if attempt is not None:
            abandon(runtime, attempt, failure, runtime.executor.publish)
        elif runtime.ledger.message(message.queue_name, message.id) is None:
            # Neither settled by the child nor given back: the ledger has lost it, and the message,
            # which is about to be acknowledged, is all that is left.
            runtime.ledger.enqueue(message)
            runtime.ledger.unpublished(message.queue_name, [message.id])

    def _give_back(self) -> None:
        held = self.message.headers.get(fence.HEADER)
        if held is not None:
            message = JobMessage.from_kwargs(self.message.payload[1])
            give_back(runtime_of(self.app), message, held)
