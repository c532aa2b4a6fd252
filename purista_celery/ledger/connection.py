"""The connection to the ledger's Redis, and what its failure is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from purista_celery.errors import LedgerUnavailable
from purista_celery.ledger.patience import Patience
from purista_celery.redis_client import ThreadClient

#: Answers of a Redis that is there and can not write.
_REFUSALS = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN")
_REFUSING = (OutOfMemoryError, ReadOnlyError)

#: Seconds after which a hasty client tries no more.
_HASTY = 0.2

#: redis-py's own limit of 100 would end jobs in a pool of more threads: each keeps a connection.
#: What a server can take, the server says.
MOST_CONNECTIONS = 2**16


def connect(
    url: str, timeout: timedelta = timedelta(seconds=10), *, hasty: bool = False
) -> redis.Redis:
    """Return a client for ``url`` (``redis://``, ``rediss://`` or ``unix://``); connects lazily.

    Args:
        timeout: how long one try waits for an answer.
        hasty: whether it gives up within about a second: for what may be left out.
    """
    seconds = 1.0 if hasty else timeout.total_seconds()
    client: redis.Redis = ThreadClient.from_url(
        url,
        decode_responses=True,
        socket_timeout=seconds,
        socket_connect_timeout=seconds / 2,
        retry=Patience(_HASTY) if hasty else Patience(),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError],
        health_check_interval=30,
        max_connections=MOST_CONNECTIONS,
    )
    return client


def apart(client: redis.Redis, patience: timedelta) -> redis.Redis:
    """Return a client for the same Redis with connections of its own.

    Args:
        patience: how long one command waits for its answer.
    """
    pool = client.connection_pool
    seconds = patience.total_seconds()
    options = {**pool.connection_kwargs, "socket_timeout": seconds}
    options["socket_connect_timeout"] = min(seconds, options["socket_connect_timeout"])
    return ThreadClient(
        connection_pool=redis.ConnectionPool(
            connection_class=pool.connection_class, max_connections=MOST_CONNECTIONS, **options
        )
    )


@contextmanager
def available() -> Iterator[None]:
    """Turn redis-py's connection errors into :class:`LedgerUnavailable`."""
    try:
        yield
    except redis.ResponseError as error:
        # A full, read-only or loading server: it answers, and takes nothing.
        if not str(error).startswith(_REFUSALS) and not isinstance(error, _REFUSING):
            raise
        raise LedgerUnavailable(
            f"The ledger takes nothing ({type(error).__name__}: {str(error)[:120]}). Free memory, "
            f"or point PURISTA_LEDGER_URL at the primary; then try again."
        ) from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise LedgerUnavailable(
            f"The ledger did not answer ({type(error).__name__}). Check PURISTA_LEDGER_URL and "
            f"that Redis runs; then try again."
        ) from error
