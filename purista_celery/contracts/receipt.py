"""What enqueueing returns, and one job of an ``enqueue_many`` or a binding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

PayloadT = TypeVar("PayloadT")
ParameterT = TypeVar("ParameterT")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a job was accepted: it will end as completed, cancelled or dead letter."""

    job_id: str
    queue_name: str
    #: When the job becomes due, if it was delayed.
    scheduled_at: datetime | None = None
    #: Whether an earlier enqueue with the same idempotency key is what this receipt is of.
    duplicate: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Enqueue(Generic[PayloadT, ParameterT]):
    """A job to enqueue, as a value."""

    payload: PayloadT
    parameter: ParameterT | None = None
    idempotency_key: str | None = None
    #: On a queue with ``ordering="partition"``: whose turn it takes; the tenant's by default.
    partition_key: str | None = None
    run_at: datetime | None = None
    delay: timedelta | None = None
    #: 0 to 9, 9 first.
    priority: int | None = None
    max_attempts: int | None = None
    headers: Mapping[str, str] | None = None
    #: For whom; what the event or job that it comes from says, otherwise.
    tenant_id: str | None = None
    #: On whose behalf; as ``tenant_id``.
    principal_id: str | None = None
