"""One Redis for these tests; each has a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import RedisServer


@pytest.fixture(scope="session")
def runtime_redis() -> Iterator[RedisServer]:
    """One Redis for the session."""
    server = RedisServer().start()
    yield server
    server.close()
