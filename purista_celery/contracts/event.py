"""An event: a name under which something that happened is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from purista_celery.contracts.governance import Link
from purista_celery.contracts.types import adapter_of, name_of
from purista_celery.errors import UnsupportedPayload

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

    def require_empty(self, where: str) -> None:
        """Check that it can be published without a payload, as ``where``, a schedule, does.

        Raises:
            UnsupportedPayload: its type wants one.
        """
        try:
            self.adapter.validate_json("null")
        except ValidationError as error:
            raise UnsupportedPayload(
                f"{where}: an event of a schedule carries no payload, and {self.name!r} wants one "
                f"({name_of(self.payload)}). Declare an event without payload for it, or enqueue a "
                f"job, which has one: enqueues=…, payload=…."
            ) from error
        except PydanticUserError:
            # A forward reference that is not defined yet; compiling asks again.
            return
