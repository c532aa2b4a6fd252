"""The connection to the ledger's Redis, and what its failure is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from purista_celery.errors import LedgerForbidden, LedgerUnavailable
from purista_celery.ledger.patience import Patience
from purista_celery.outages import LEDGER
from purista_celery.redis_client import ThreadClient, connection_class
from purista_celery.refusals import Verdict, reason, verdict


def connect(url: str) -> redis.Redis:
    """Return a client for ``url`` (``redis://``, ``rediss://`` or ``unix://``); connects lazily."""
    client: redis.Redis = ThreadClient.from_url(
        url,
        decode_responses=True,
        socket_timeout=10,
        socket_connect_timeout=5,
        retry=Patience(),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError],
        health_check_interval=30,
        connection_class=connection_class(url),
    )
    return client


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
        found = verdict(error)
        if found is None:
            raise
        LEDGER.begins(error)
        raise _unavailable(error, found) from error
    LEDGER.ends()


def _unavailable(error: redis.RedisError, found: Verdict) -> LedgerUnavailable:
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
