"""The ledger on a real Redis; each test has a namespace of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import redis

from purista_celery.ledger.connection import connect
from tests.integration.ledger.book import Book
from tests.support.servers import RedisServer


@pytest.fixture(scope="session")
def ledger_server() -> Iterator[RedisServer]:
    """One Redis for the session."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def ledger_client(ledger_server: RedisServer) -> Iterator[redis.Redis]:
    client = connect(ledger_server.url)
    yield client
    client.close()


@pytest.fixture
def book(ledger_client: redis.Redis) -> Book:
    return Book(ledger_client, f"t{uuid.uuid4().hex[:8]}")
