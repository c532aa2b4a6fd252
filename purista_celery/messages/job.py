"""The job on the wire: the keyword arguments of its Celery message.

Everything that is needed to run the job is here, so that a lost ledger record is no lost job. The
order of the fields is the order in which Flower shows them.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from purista_celery.messages.envelope import Trace
from purista_celery.messages.wire import LAST_INSTANT, Identifier, MessageId

#: Headers that only we may set: an application's values are dropped.
IDENTITY_HEADERS = frozenset({"purista.principalId", "purista.tenantId"})
_MOST_HEADERS = 64
_IDENTITY = frozenset(name.lower() for name in IDENTITY_HEADERS)


def _without_identity(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _IDENTITY}


def _few(headers: Any) -> Any:
    # Before each is looked at.
    if isinstance(headers, dict) and len(headers) > _MOST_HEADERS:
        raise ValueError(f"expected {_MOST_HEADERS} headers at the most, got {len(headers)}")
    return headers


#: A job's headers: 64 at the most, of 8,192 characters each.
Headers = Annotated[
    dict[MessageId, Annotated[str, StringConstraints(max_length=8192)]],
    Field(max_length=_MOST_HEADERS),
    BeforeValidator(_few),
    AfterValidator(_without_identity),
]


class JobMessage(Trace):
    """A job as it was accepted. Its id is the Celery task id too."""

    id: MessageId
    queue_name: Identifier
    parameter: Any = None
    payload: Any = None
    headers: Headers = Field(default_factory=dict)
    parent_span_id: Identifier | None = None
    idempotency_key: Identifier | None = None
    #: Jobs of one partition run in order, one at a time; None where the queue keeps no order.
    partition_key: Identifier | None = None
    #: The version of the service whose contract the sender knew.
    service_version: Identifier | None = None
    #: Milliseconds since the Unix epoch.
    created_at: int = Field(ge=0, le=LAST_INSTANT)
    scheduled_at: int | None = Field(default=None, ge=0, le=LAST_INSTANT)
    priority: int | None = Field(default=None, ge=0, le=9)
    max_attempts: int = Field(ge=1, lt=2**31)

    def to_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of the job's Celery message.

        Kombu's JSON turns objects with a ``__type__`` key into Python values, or refuses them; a
        job that holds such a key travels as text.
        """
        text = self.to_json()
        if '"__type__"' not in text:
            return self.to_wire()
        return {"queueName": self.queue_name, "tenantId": self.tenant_id, "json": text}

    @classmethod
    def from_kwargs(cls, kwargs: Any) -> JobMessage:
        """Read what :meth:`to_kwargs` has written.

        Raises:
            InvalidMessage: it is no job.
        """
        if isinstance(kwargs, dict) and isinstance(kwargs.get("json"), str):
            return cls.from_wire(kwargs["json"])
        return cls.from_wire(kwargs)
