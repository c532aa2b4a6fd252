"""One Redis for these tests; each has a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery.worker import state

from tests.integration.runtime.desk import Desk
from tests.support.servers import RedisServer


@pytest.fixture(scope="session")
def runtime_redis() -> Iterator[RedisServer]:
    """One Redis for the session."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def desk(runtime_redis: RedisServer) -> Iterator[Desk]:
    made = Desk(runtime_redis.url)
    yield made
    state.reserved_requests.clear()
    state.active_requests.clear()
    made.app.close()
