"""A task that is revoked, in Flower or by ``celery control``, is a job that is cancelled."""

from __future__ import annotations

import logging
from typing import Any

from celery import signals

from purista_celery.errors import LedgerUnavailable
from purista_celery.messages.job import JobMessage
from purista_celery.runtime import fence
from purista_celery.runtime.abandoned import held_by
from purista_celery.runtime.runtime import runtime_of
from purista_celery.runtime.settle import Held
from purista_celery.runtime.task import JobTask

log = logging.getLogger(__name__)


def watch() -> None:
    """Hear of revoked tasks from now on (once per process)."""
    signals.task_revoked.connect(cancel_revoked, weak=False, dispatch_uid="purista.revoked")


def cancel_revoked(sender: Any = None, request: Any = None, **_: Any) -> None:
    """Cancel the job, or the ledger would offer it again for ever (sent in the main process)."""
    if not isinstance(sender, JobTask):
        return
    runtime, name = runtime_of(sender.app), str(sender.name)
    try:
        text = runtime.ledger.message(name, request.id)
        if text is None:
            return
        message = JobMessage.from_wire(text)
        held = held_by(runtime, message, str(request.get(fence.HEADER)))
        queue = runtime.wiring.queue(name)
        waiting = Held(queue, message, "", 0, message.max_attempts, message.created_at)
        results = runtime.settler.cancel(held or waiting, "revoked")
    except LedgerUnavailable as error:
        log.warning("Job %s is revoked, but the ledger does not know it: %s", request.id, error)
        return
    if results is not None:
        runtime.executor.publish(results)
