"""Kombu's connection, with our transports: after a failover, too, and in the pools it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kombu import connection as stock
from kombu.transport import pyamqp

from purista_celery.transport import plain
from purista_celery.transport.transport import Transport

_IN_PLACE_OF: Mapping[type, type] = {
    pyamqp.Transport: plain.AmqpTransport,
    pyamqp.SSLTransport: plain.AmqpTlsTransport,
    Transport: plain.RedisTransport,
}


class _OurTransports(stock.Connection):
    #: When RabbitMQ last left a message unconfirmed, by the process' clock.
    unconfirmed_at = float("-inf")

    def get_transport_cls(self) -> Any:
        """Return ours in the place of the one that the URL names (called by Kombu)."""
        named: Any = super().get_transport_cls()
        return _IN_PLACE_OF.get(named, named)


class Connection(_OurTransports):
    """For :attr:`celery.app.amqp.AMQP.Connection`."""

    def Pool(self, limit: int | None = None, **options: Any) -> stock.ConnectionPool:  # noqa: N802 (Kombu's)
        """Return a pool of such connections (called by Kombu)."""
        return _Pool(self, limit, **options)


class _Pooled(stock.PooledConnection, _OurTransports):
    """What a pool lends."""


class _Pool(stock.ConnectionPool):
    def new(self) -> Any:
        """Return one more connection (called by Kombu)."""
        return _Pooled(self, **dict(self.connection._info(resolve=False)))
