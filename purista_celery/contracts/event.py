"""An event: a name under which something that happened is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from purista_celery.contracts.governance import Link
from purista_celery.contracts.types import adapter_of

PayloadT = TypeVar("PayloadT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Event(Generic[PayloadT]):
    """A declared event. Its name is its routing key."""

    name: str
    #: The payload's type, or None where the event says all by happening.
    payload: Any
    description: str = ""
    service_name: str = ""
    service_version: str = ""
    owner: str = ""
    deprecated: bool = False
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """Validates and dumps this event's payload."""
        return adapter_of(self.payload)
