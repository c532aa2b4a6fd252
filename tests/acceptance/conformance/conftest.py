"""Benches on both brokers, as users make them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from purista_celery import Settings
from purista_celery.testing import Bench
from tests.support.servers import RedisServer, require_rabbitmq


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def bench(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[Bench]:
    """One bench for all cases on one broker."""
    broker = redis_server.url if request.param == "redis" else require_rabbitmq()
    with Bench(Settings(broker_url=broker, ledger_url=redis_server.url)) as made:
        yield made


@pytest.fixture(scope="module")
def spoilt(redis_server: RedisServer) -> Iterator[Bench]:
    """A bench to break things on: it is not patient, because what it waits for will not come."""
    settings = Settings(broker_url=redis_server.url, ledger_url=redis_server.url)
    with Bench(settings, patience=4) as made:
        yield made
