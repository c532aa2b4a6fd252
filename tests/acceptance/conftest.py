"""Whole processes on real servers. Each test runs on Redis and on RabbitMQ."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Stage, staged
from tests.support.servers import RedisServer, require_rabbitmq


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for the session; a test that stops it starts it again."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(params=["redis", "rabbitmq"])
def stage(
    request: pytest.FixtureRequest, redis_server: RedisServer, tmp_path: Path
) -> Iterator[Stage]:
    """A namespace of the test's own, on either broker."""
    broker = redis_server.url if request.param == "redis" else require_rabbitmq()
    with staged(broker, redis_server.url, tmp_path) as made:
        yield made


@pytest.fixture
def redis_stage(redis_server: RedisServer, tmp_path: Path) -> Iterator[Stage]:
    """A namespace of the test's own on Redis, for what is the same on any broker."""
    with staged(redis_server.url, redis_server.url, tmp_path) as made:
        yield made
