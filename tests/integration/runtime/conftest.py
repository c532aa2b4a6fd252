"""One Redis for these tests; each has a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery.worker import state

from tests.integration.runtime.executing import Desk
from tests.integration.runtime.main_process import Main
from tests.support.servers import RedisServer


@pytest.fixture(scope="session")
def runtime_redis() -> Iterator[RedisServer]:
    """One Redis for the session."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def main(runtime_redis: RedisServer) -> Iterator[Main]:
    """A worker's main process without a worker."""
    made = Main(runtime_redis.url)
    yield made
    state.reserved_requests.clear()
    state.active_requests.clear()
    made.app.close()


@pytest.fixture(scope="module")
def desk(runtime_redis: RedisServer) -> Iterator[Desk]:
    """An executor without a worker."""
    made = Desk(runtime_redis)
    yield made
    made.close()
