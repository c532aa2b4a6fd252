"""How long a call to the ledger is tried again: a restart goes unnoticed, an outage is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from purista_celery.refusals import Forbidden

T = TypeVar("T")

#: Tries after the first, over about two seconds. All transitions are idempotent, so that an answer
#: that got lost does no harm.
RETRIES = 8
#: Seconds after the first failure beyond which no other try begins, however few there were: each
#: takes as long as the socket's timeout where a network loses packets.
PATIENCE = 4.0


class Patience(Retry):
    """Tries a call again, and not each part of each try.

    redis-py retries the handshake and the health check within the command that they are of, so that
    nine tries of a server that accepts and says nothing would be eighty-one. A connection has its
    own copy of this, and one user at a time.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        super().__init__(ExponentialBackoff(cap=0.5, base=0.02), RETRIES)
        self._patience = patience
        self._trying = False

    def call_with_retry(
        self, do: Callable[[], T], fail: Callable[..., Any], *args: Any, **options: Any
    ) -> T:
        """Return what ``do`` returns, after as many tries as it takes and are allowed."""
        if self._trying:
            return do()
        began: list[float] = []

        def failed(error: Exception, *count: int) -> None:
            fail(error, *count)
            began.append(time.monotonic())
            if began[-1] - began[0] > self._patience or isinstance(error, Forbidden):
                raise error

        self._trying = True
        try:
            return super().call_with_retry(do, failed, *args, **options)
        finally:
            self._trying = False
