"""The ledger can not be reached: callers are told in bounded time, and notice no short outage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from purista_celery.errors import LedgerUnavailable
from purista_celery.ledger.connection import connect
from purista_celery.ledger.patience import PATIENCE, RETRIES
from tests.integration.ledger.book import Book
from tests.support.line import Line
from tests.support.servers import RedisServer


@pytest.fixture
def line(ledger_server: RedisServer) -> Iterator[Line]:
    made = Line(ledger_server.port)
    yield made
    made.close()


@pytest.fixture
def distant(line: Line) -> Iterator[Book]:
    """A ledger at the other end of the line, that nobody has called yet."""
    client = connect(line.url)
    yield Book(client, "distant")
    client.close()


def test_a_server_that_accepts_and_says_nothing_is_told_as_fast_as_one_that_refuses(
    line: Line, distant: Book
) -> None:
    """As behind a proxy: redis-py's own retries, of handshake and health check, do not multiply."""
    line.cut()
    began = time.monotonic()

    with pytest.raises(LedgerUnavailable):
        distant.enqueue()

    tries = 1 + RETRIES
    assert time.monotonic() - began < tries * 0.5 + PATIENCE


def test_an_outage_of_a_second_goes_unnoticed(line: Line, distant: Book) -> None:
    """The call is tried again until the server is back."""
    distant.enqueue()
    line.cut()
    threading.Timer(1, line.mend).start()

    assert distant.enqueue().job_id
