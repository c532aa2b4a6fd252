"""Invoking a command: its job is enqueued, waited for, and taken away once its end is told."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from purista_celery.contracts.command import Command
from purista_celery.contracts.receipt import Enqueue
from purista_celery.errors import CommandFailed, CommandTimeout
from purista_celery.ledger import reading
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import JobStatus
from purista_celery.messages.envelope import Trace
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.wiring import JobQueue

#: Seconds between two looks at the job: soon at first, for an answer is usually quick.
_FIRST_LOOK, _SLOWEST_LOOK = 0.005, 0.1


def invoke(
    command: Command[Any, Any, Any],
    job: Enqueue[Any, Any],
    trace: Trace,
    timeout: timedelta | None,
    *,
    queue: JobQueue,
    producer: JobProducer,
    ledger: Ledger,
) -> Any:
    """Return what the command's handler returns.

    Args:
        timeout: how long to wait; as long as the command says by default.
        queue: what the command compiles to.

    Raises:
        InvalidPayload: payload or parameter does not fit the command.
        CommandFailed: the handler failed; it is not tried again.
        CommandTimeout: nobody answered in time.
        LedgerUnavailable: it is not known what became of it.
    """
    job_id = producer.enqueue(queue, job, trace).job_id
    patience = command.timeout if timeout is None else timeout
    status = _wait(ledger, queue.name, job_id, patience)
    what = f"Command {command.name!r} of service {command.service_name!r} (job {job_id})"
    if status is None or not status.finished:
        # Whoever asked has gone: what has not begun is not to run unseen, later.
        ledger.cancel(
            queue.name, job_id, reason="command_timeout", keep_key=queue.lifecycle.retry_window
        )
        raise CommandTimeout(
            f"{what} was not answered within {patience.total_seconds():g} s. Check that a worker "
            f"serves it, or raise its timeout."
        )
    if status.status == "completed":
        return command.queue.output_adapter.validate_python(status.output)
    if status.status == "deadLetter":
        # It is told to whoever asked; nobody needs to find it again.
        ledger.purge(queue.name, job_id)
    raise CommandFailed(f"{what} ended as {status.status}: {status.error or status.reason}")


def _wait(ledger: Ledger, queue: str, job_id: str, patience: timedelta) -> JobStatus | None:
    until = time.monotonic() + patience.total_seconds()
    pause = _FIRST_LOOK
    while True:
        status = reading.find(ledger, job_id, [queue])
        left = until - time.monotonic()
        if (status is not None and status.finished) or left <= 0:
            return status
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _SLOWEST_LOOK)
