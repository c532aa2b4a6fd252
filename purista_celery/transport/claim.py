"""A claim: what is asked of `claim.lua`, and what its reply means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from purista_celery.transport.delivery import Delivery, read
from purista_celery.transport.keys import Keys
from purista_celery.transport.scripts import Argument


@dataclass(frozen=True)
class QueueTerms:
    """How messages of one queue are claimed."""

    queue: str
    #: Lease minus visibility timeout, in seconds; None: gone once popped (`no_ack`).
    lease_offset: float | None
    #: `x-expires` in milliseconds.
    expires: int | None = None

    def arguments(self) -> tuple[Argument, ...]:
        """Return the three arguments that describe the queue to the script."""
        offset = "" if self.lease_offset is None else self.lease_offset
        return (json.dumps(self.queue), offset, "" if self.expires is None else self.expires)


@dataclass(frozen=True)
class Claim:
    """One request for messages, and the acknowledgements that travel with it."""

    #: Unique per claim, ever: the delivery tags derive from it.
    token: str
    limit: int
    queues: Sequence[QueueTerms]
    #: One message of each queue in turn; otherwise the queues are drained in their order.
    in_turn: bool
    acks: Sequence[str] = ()
    #: Process clock.
    sent_at: float = field(default_factory=monotonic)

    def keys(self, keys: Keys) -> list[str]:
        """Return the keys that the script works on."""
        found = [keys.unacked, keys.index]
        for terms in self.queues:
            found += [*keys.lists(terms.queue), keys.wake(terms.queue)]
        return found

    def arguments(self, keys: Keys) -> list[Argument]:
        """Return the script's arguments."""
        head: list[Argument] = [
            self.limit,
            self.token,
            len(self.queues),
            len(keys.steps),
            int(self.in_turn),
            len(self.acks),
            *self.acks,
        ]
        for terms in self.queues:
            head += terms.arguments()
        return head

    def possible_tags(self) -> list[str]:
        """Return every tag the claim may have recorded, for when its reply never came."""
        return [f"{self.token}.{number}" for number in range(1, self.limit + 1)]

    def deliveries(self, reply: Sequence[int | bytes]) -> list[Delivery]:
        """Return what the script's reply says was claimed, in order."""
        return [
            read(self.queues[int(reply[at]) - 1].queue, _text(reply[at + 1]), _raw(reply[at + 2]))
            for at in range(0, len(reply), 3)
        ]


def _raw(value: int | bytes | str) -> bytes:
    # A server or client may be set to decode replies; the message is bytes here either way.
    return value if isinstance(value, bytes) else str(value).encode()


def _text(value: int | bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
