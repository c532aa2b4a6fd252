"""What contracts need of broker and ledger, as far as not every pair of these gives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from purista_celery.contracts.queue import Queue
from purista_celery.contracts.service import Service
from purista_celery.contracts.subscription import Binding, Subscription

#: RabbitMQ's default ``consumer_timeout``; the value in force can not be read over AMQP.
_CONSUMER_TIMEOUT = timedelta(minutes=30)

Kind = Literal["idempotency", "priorities", "consumer-timeout"]


@dataclass(frozen=True, slots=True)
class Need:
    """One need of one contract."""

    contract: str
    kind: Kind
    text: str
    #: Whether a worker is not to start without.
    strict: bool


def needs_of(contract: Queue[Any, Any, Any] | Subscription | Binding) -> Iterator[Need]:
    """Return what one contract needs."""
    if isinstance(contract, Binding):
        if contract.idempotency == "strict":
            text = "idempotency keys that are never forgotten"
            yield Need(f"Binding {contract.name!r}", "idempotency", text, strict=True)
    elif isinstance(contract, Queue):
        where, profile = f"Queue {contract.name!r}", contract.profile
        strict = bool(profile and profile.strict)
        if contract.priority is not None:
            yield Need(where, "priorities", "priorities", strict)
        if profile is not None and profile.max_runtime >= _CONSUMER_TIMEOUT:
            text = f"unacknowledged messages of {profile.max_runtime}"
            yield Need(where, "consumer-timeout", text, strict)


def needs(services: Iterable[Service]) -> list[Need]:
    """Return what all contracts of ``services`` need, sorted."""
    contracts: list[Queue[Any, Any, Any] | Binding] = []
    for service in services:
        contracts += [*service.queues.values(), *service.bindings.values()]
    found = [need for contract in contracts for need in needs_of(contract)]
    return sorted(found, key=lambda need: (need.contract, need.kind))
