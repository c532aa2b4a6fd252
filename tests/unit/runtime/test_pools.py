"""Which of Celery's pools can run our jobs."""

from __future__ import annotations

import pytest
from celery.concurrency import get_implementation
from celery.concurrency.base import BasePool

from purista_celery.errors import UnsupportedPool
from purista_celery.runtime import pools


@pytest.mark.parametrize("name", ["prefork", "processes", "threads", "solo"])
def test_pools_that_keep_the_promise_are_taken(name: str) -> None:
    """And what somebody derives from them."""
    pool = get_implementation(name)
    pools.check(pool)
    pools.check(type("Own", (pool,), {}))


@pytest.mark.parametrize("pool", [BasePool, type("TaskPool", (BasePool,), {}), "gevent", None])
def test_other_pools_are_refused_with_what_to_do(pool: object) -> None:
    """A greenlet that waits would hold up heartbeats; gevent's and eventlet's are such."""
    with pytest.raises(UnsupportedPool, match="prefork, threads, solo") as refused:
        pools.check(pool)
    assert refused.value.code == "PURISTA_POOL_UNSUPPORTED"
