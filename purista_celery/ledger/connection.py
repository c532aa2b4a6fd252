"""The connection to the ledger's Redis, and what its failure is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


def connect(url: str, *, hasty: bool = False) -> redis.Redis:
    """Return a client for ``url`` (``redis://``, ``rediss://`` or ``unix://``); connects lazily.

    Args:
        hasty: whether it gives up within about a second: for what may be left out.
    """
    client: redis.Redis = ThreadClient.from_url(
        url,
        decode_responses=True,
        socket_timeout=1 if hasty else 10,
        socket_connect_timeout=1 if hasty else 5,
        retry=Patience(_HASTY) if hasty else Patience(),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError],
        health_check_interval=30,
    )
    return client


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
