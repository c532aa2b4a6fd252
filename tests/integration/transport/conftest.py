"""Fixtures of the transport's integration tests."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection
from transport_support import OURS, STOCK, RedisServer, Worker


@pytest.fixture(scope="session")
def transport_server() -> Iterator[RedisServer]:
    """One Redis server for the session."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        yield server
        server.stop()


@pytest.fixture
def server(transport_server: RedisServer) -> RedisServer:
    """The session's Redis server, emptied."""
    with redis.Redis(port=transport_server.port) as client:
        client.flushall()
        client.script_flush()
        client.config_resetstat()
    return transport_server


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    """A client that looks at the broker from outside."""
    with redis.Redis(port=server.port) as found:
        yield found


Connect = Callable[..., Connection]


@pytest.fixture
def connect(server: RedisServer) -> Iterator[Connect]:
    """Opens connections with the atomic transport; options are transport options."""
    opened = []

    def open_connection(**options: Any) -> Connection:
        connection = Connection(server.url, transport=OURS, transport_options=options)
        opened.append(connection)
        return connection

    yield open_connection
    for connection in opened:
        connection.release()


@pytest.fixture
def connect_stock(server: RedisServer) -> Iterator[Connect]:
    """Opens connections with Kombu's own transport."""
    opened = []

    def open_connection(**options: Any) -> Connection:
        connection = Connection(server.url, transport=STOCK, transport_options=options)
        opened.append(connection)
        return connection

    yield open_connection
    for connection in opened:
        connection.release()


@pytest.fixture
def start_worker(server: RedisServer, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts `celery worker` processes and ends those that still run."""
    workers: list[Worker] = []

    def start(*args: str, **env: str) -> Worker:
        worker = Worker(server, tmp_path / "worker.log", *args, **env)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()
