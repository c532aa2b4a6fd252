"""The connection to the ledger's Redis, and what its failure is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import redis

from purista_celery.errors import LedgerForbidden, LedgerUnavailable
from purista_celery.ledger.patience import Patience
from purista_celery.outages import LEDGER
from purista_celery.redis_client import ThreadClient, connection_class
from purista_celery.refusals import Verdict, reason, verdict

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
        connection_class=connection_class(url),
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
    """Turn what redis-py raises over a Redis that is away, or refuses, into coded errors.

    Raises:
        LedgerUnavailable: it is away, or takes nothing for now.
        LedgerForbidden: it does not let its user do that; this is the above, too.
    """
    try:
        yield
    except redis.RedisError as error:
        found = unavailable(error)
        if found is None:
            raise
        LEDGER.begins(error)
        raise found from error
    LEDGER.ends()


def unavailable(error: redis.RedisError) -> LedgerUnavailable | None:
    """Return what is to be said of a ledger that raised ``error``; None if it is a fault."""
    found = verdict(error)
    if found is None:
        return None
    if found is Verdict.FORBIDDEN:
        return LedgerForbidden(
            f"The ledger does not let its user do this ({reason(error)}). Give the user of "
            f"PURISTA_LEDGER_URL the commands, keys and channels that it lacks, or correct its "
            f"name and password; then try again."
        )
    if isinstance(error, redis.ResponseError):
        return LedgerUnavailable(
            f"The ledger takes nothing ({reason(error)}). Remedy what it names, or point "
            f"PURISTA_LEDGER_URL at a primary that is well; then try again."
        )
    return LedgerUnavailable(
        f"The ledger did not answer ({type(error).__name__}). Check PURISTA_LEDGER_URL and "
        f"that Redis runs; then try again."
    )
