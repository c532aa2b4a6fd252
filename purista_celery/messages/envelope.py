"""The event on the wire: PURISTA's ``CustomMessage`` envelope, field for field."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, PlainSerializer

from purista_celery.messages.wire import LAST_INSTANT, Identifier, MessageId, WireModel

PayloadT = TypeVar("PayloadT")


def iso_milliseconds(instant: datetime) -> str:
    """Return JavaScript's ISO form, ``2026-01-01T01:00:00.000Z``; occurrence ids hash this text."""
    return _utc_text(instant.astimezone(UTC))


# The same few instants are written again and again. In UTC, for elsewhere two instants of a
# repeated hour are equal.
@lru_cache(maxsize=1024)
def _utc_text(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Instant = Annotated[datetime, PlainSerializer(iso_milliseconds, return_type=str, when_used="json")]


class Sender(WireModel):
    """Who published a message."""

    service_name: Identifier
    service_version: Identifier
    service_target: Identifier
    instance_id: Identifier


class ScheduleTrigger(WireModel):
    """Which occurrence of which schedule an event stands for."""

    schedule_key: str
    schedule_name: str
    occurrence_id: str
    scheduled_at: Instant
    fired_at: Instant
    #: Counts from 1; more than 1 is a repeat of the same occurrence.
    attempt: int = 1


class Trace(WireModel):
    """What travels from event to job to result event without a handler doing anything."""

    #: W3C trace id, 32 hexadecimal digits.
    trace_id: Identifier | None = None
    correlation_id: Identifier | None = None
    tenant_id: Identifier | None = None
    principal_id: Identifier | None = None


class EventMessage(Trace, Generic[PayloadT]):
    """An event, as it was published."""

    id: MessageId
    #: Milliseconds since the Unix epoch.
    timestamp: int = Field(ge=0, le=LAST_INSTANT)
    message_type: Literal["customMessage"] = "customMessage"
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    event_name: Identifier
    otp: str | None = None
    schedule: ScheduleTrigger | None = None
    sender: Sender
    #: Where it is absent, its type must accept None.
    payload: PayloadT = Field(default=None, validate_default=True)


#: An event whose payload has not been looked at: what routers and publishers handle.
AnyEvent = EventMessage[Any]
