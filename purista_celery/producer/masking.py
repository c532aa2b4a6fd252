"""Jobs as people may see them: what their contracts mark as sensitive is hidden."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from celery.utils.saferepr import saferepr

from purista_celery.contracts.masking import MASK, NO_SECRETS, Secrets, masked, secrets
from purista_celery.ledger.records import JobStatus
from purista_celery.messages.job import JobMessage
from purista_celery.producer.wiring import JobQueue

#: As Celery's own, which it makes of what is not masked.
_LONGEST_REPR = 1024


def message(queue: JobQueue, job: JobMessage) -> JobMessage:
    """Return a job's message to be looked at; never send it."""
    shown = {
        "payload": masked(queue.payload_adapter, job.payload),
        "parameter": _parameter(queue, job.parameter),
    }
    return job.model_copy(update=shown)


def kwargsrepr(queue: JobQueue, job: JobMessage) -> str:
    """Return what events, logs and Flower show as the kwargs of a job's message."""
    return str(saferepr(message(queue, job).to_kwargs(), _LONGEST_REPR))


def output(queue: JobQueue, value: Any) -> Any:
    """Return what a job's handler has returned, to be looked at."""
    return masked(queue.declared.output_adapter, value) if queue.declared else value


def status(queue: JobQueue | None, found: JobStatus) -> JobStatus:
    """Return a job's status to be looked at; of an unknown queue it is as it was."""
    if queue is None or not queue.is_sensitive:
        return found
    known = _secrets(queue, found.payload, found.parameter)
    return replace(
        found,
        payload=masked(queue.payload_adapter, found.payload),
        parameter=_parameter(queue, found.parameter),
        output=output(queue, found.output),
        progress=known.hidden_anywhere(found.progress),
        last_checkpoint=known.hidden_anywhere(found.last_checkpoint),
        # They were said without secrets, unless the contract has marked some only since then.
        reason=found.reason and known.hidden_in(found.reason),
        error=found.error and known.hidden_in(found.error),
        # Nobody knows where in a message that can not be read a secret is.
        raw=None if found.raw is None else MASK,
    )


def secrets_of(queue: JobQueue, job: JobMessage) -> Secrets:
    """Return the sensitive values of a job, to hide them in what its handler says."""
    return _secrets(queue, job.payload, job.parameter) if queue.is_sensitive else NO_SECRETS


def _secrets(queue: JobQueue, payload: Any, parameter: Any) -> Secrets:
    found = Secrets(sensitive=True) | secrets(queue.payload_adapter, payload)
    return found | secrets(queue.declared.parameter_adapter, parameter) if queue.declared else found


def _parameter(queue: JobQueue, value: Any) -> Any:
    return masked(queue.declared.parameter_adapter, value) if queue.declared else value
