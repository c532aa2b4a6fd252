"""The stager asks brokers how much waits, also of a broker that was away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from purista_celery import Service, Settings, compile_app
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.runtime.depth import depth
from tests.support.servers import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis that the test may stop."""
    made = RedisServer().start()
    yield made
    made.close()


def test_the_depth_of_a_queue_is_known_again_after_an_outage(server: RedisServer) -> None:
    """The connection that failed is opened again."""
    service = Service("depth")
    work = service.queue("depth.work", payload=None)
    app = compile_app([service], Settings(broker_url=server.url, ledger_url=server.url))
    queue = app.purista_runtime.wiring.queue("depth.work")
    app.purista.enqueue(work, None)
    connection = app.connection_for_write()
    assert depth(connection, queue) == 1

    server.stop()
    for _ in range(2):
        with pytest.raises(BROKER_ERRORS):
            depth(connection, queue)
    server.start()

    assert depth(connection, queue) == 1
    connection.release()
    app.close()
