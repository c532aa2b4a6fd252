"""A Redis that still loads its data answers each command of a pipeline with a refusal."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from purista_celery.redis_client import heeding
from purista_celery.refusals import Verdict, verdict


class Loading(socketserver.BaseRequestHandler):
    """Says so to all that it is asked."""

    def handle(self) -> None:
        while asked := self.request.recv(65536):
            commands = len(re.findall(rb"(?m)^\*\d+\r$", asked))
            self.request.sendall(b"-LOADING Redis is loading the dataset in memory\r\n" * commands)


@pytest.fixture
def loading() -> Iterator[redis.Redis]:
    """A client of ours for it."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Loading) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pool = redis.ConnectionPool(
            connection_class=heeding(redis.Connection),
            port=server.server_address[1],
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )
        yield redis.Redis(connection_pool=pool)
        pool.disconnect()
        server.shutdown()


def test_a_pipeline_is_told_that_it_is_away(loading: redis.Redis) -> None:
    """redis-py gives the connection up at such an answer; nothing reads on from it."""
    with pytest.raises(redis.ConnectionError) as caught:
        loading.pipeline(transaction=False).ping().ping().execute()
    assert verdict(caught.value) is Verdict.AWAY
