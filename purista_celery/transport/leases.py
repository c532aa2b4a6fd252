"""Leases of deliveries, for a heartbeat that runs in a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kombu.connection import Connection
from redis import ConnectionPool, Redis

from purista_celery.errors import ConfigurationError
from purista_celery.transport.channel import Channel
from purista_celery.transport.keys import Keys
from purista_celery.transport.scripts import EXTEND, Argument

#: Leases moved by one script call.
BATCH = 500


class DeliveryLeases:
    """The leases of one broker; safe to use from any thread and after a fork.

    It has connections of its own, so it works on while the event loop is blocked.
    """

    def __init__(self, client: Redis, *, keys: Keys, visibility_timeout: float) -> None:
        self._client = client
        self._keys = keys
        #: Seconds; must be that of the workers, because a lease is stored relative to it.
        self.visibility_timeout = visibility_timeout

    @classmethod
    def of(cls, connection: Connection) -> DeliveryLeases:
        """Return the leases of a broker that is used through this package's transport.

        Raises ConfigurationError for another transport, and what Kombu raises when the broker
        can not be reached.
        """
        with connection.clone() as own, own.channel() as channel:
            if not isinstance(channel, Channel):
                raise ConfigurationError(
                    f"Leases need purista_celery.transport, but the connection's transport is "
                    f"{type(own.transport).__module__}. Use connection_settings()."
                )
            return cls(
                Redis(connection_pool=ConnectionPool(**channel._connparams())),
                keys=channel.keys,
                visibility_timeout=channel.visibility_timeout,
            )

    def extend(self, leases: Mapping[str, float]) -> set[str]:
        """Let each delivery tag's lease end so many seconds from now; return the tags lost.

        Lost: settled, or put back into the queue because the lease had ended. Raises redis-py's
        errors when Redis can not be reached; the leases are then as they were.
        """
        pairs = list(leases.items())
        lost: set[str] = set()
        for start in range(0, len(pairs), BATCH):
            lost |= self._extend(pairs[start : start + BATCH])
        return lost

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._client.connection_pool.disconnect()

    def _extend(self, pairs: list[tuple[str, float]]) -> set[str]:
        arguments: list[Argument] = [self.visibility_timeout]
        for tag, seconds in pairs:
            arguments += [tag, seconds]
        reply: list[Any] = EXTEND.run(self._client, [self._keys.index], arguments)
        return {tag.decode() if isinstance(tag, bytes) else str(tag) for tag in reply}
