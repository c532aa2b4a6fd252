"""Calling a handler: with its job, its event, or a binding's mapping, ``def`` or ``async def``."""

from __future__ import annotations

import inspect
import json
from typing import Any

from pydantic import ValidationError

from purista_celery.contracts.queue import Queue
from purista_celery.contracts.subscription import Binding
from purista_celery.errors import InvalidHandler, InvalidPayload
from purista_celery.messages.envelope import EventMessage
from purista_celery.messages.job import JobMessage
from purista_celery.messages.wire import explain, quotable
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.wiring import JobQueue, Wiring
from purista_celery.runtime.binding import bind
from purista_celery.runtime.job import RunningJob
from purista_celery.runtime.loop import HandlerLoop


def read_payload(queue: JobQueue, message: JobMessage) -> tuple[Any, Any]:
    """Return payload and parameter as the handler expects them.

    Raises:
        InvalidPayload: they do not fit the contract (any more).
    """
    contract = queue.contract
    try:
        if isinstance(contract, Queue):
            return (
                contract.payload_adapter.validate_json(json.dumps(message.payload)),
                contract.parameter_adapter.validate_json(json.dumps(message.parameter)),
            )
        text = json.dumps(message.payload)
        return EventMessage[contract.payload].model_validate_json(text), None  # type: ignore[name-defined]
    except ValidationError as error:
        wrong = explain(error, sensitive=queue.is_sensitive)
        raise InvalidPayload(
            f"Job {message.id} does not fit queue {queue.name!r}: {wrong}. Correct the sender or "
            f"the contract, then redrive the job."
        ) from (None if queue.is_sensitive else quotable(error))


def call(
    queue: JobQueue, job: RunningJob, loop: HandlerLoop, wiring: Wiring, producer: JobProducer
) -> Any:
    """Run the handler of ``queue`` and return what it returns."""
    contract = queue.contract
    if isinstance(contract, Binding):
        return bind(contract, job, wiring.queue(contract.queue.name), producer)
    if queue.worker is None:
        raise InvalidHandler(f"Queue {queue.name!r} has no worker in this app.")
    arguments = (job,) if isinstance(contract, Queue) else (job.payload, job)[: contract.arity]
    result = queue.worker.function(*arguments)
    return loop.run(result) if inspect.iscoroutine(result) else result
