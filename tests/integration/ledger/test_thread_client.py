"""The client that keeps a connection for each thread."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from purista_celery import redis_client
from purista_celery.ledger.connection import apart, connect
from purista_celery.redis_client import KeptConnection, ThreadClient
from tests.support.servers import RedisServer
from tests.support.waiting import until


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis that may be restarted."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def client(server: RedisServer) -> Iterator[ThreadClient]:
    """The ledger's."""
    with connect(server.url) as client:
        assert isinstance(client, ThreadClient)
        yield client


@pytest.fixture
def kept(server: RedisServer) -> Iterator[KeptConnection]:
    """One connection, without any retries."""
    pool = redis.ConnectionPool.from_url(server.url, retry=Retry(NoBackoff(), 0))
    with KeptConnection(pool) as kept:
        yield kept
    pool.close()


def connections(server: RedisServer) -> int:
    """Return how many others are connected."""
    with server.client() as other:
        return len(other.client_list()) - 1


def in_a_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_a_thread_has_one_connection(client: ThreadClient, server: RedisServer) -> None:
    """However many commands it gives; that of a thread that has ended serves the next."""
    ids = [client.client_id() for _ in range(3)]
    assert len(set(ids)) == 1
    others: list[int] = []
    for _ in range(3):
        in_a_thread(lambda: others.append(client.client_id()))
    assert len(set(others)) == 1
    assert others[0] != ids[0]
    assert connections(server) == 2


def test_a_restart_goes_unnoticed(client: ThreadClient, server: RedisServer) -> None:
    """The retries of the pool's connections are its own."""
    client.set("kept", "yes")
    server.stop()
    server.start()
    assert client.get("kept") == "yes"


def test_a_restart_in_a_pause_costs_no_command(
    kept: KeptConnection, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is asked whether it is alive before it is used again."""
    monkeypatch.setattr(redis_client, "_IDLE", 0)
    kept.set("kept", "yes")
    server.stop()
    server.start()
    assert kept.get("kept") == b"yes"


def test_a_refusal_costs_no_connection(client: ThreadClient) -> None:
    """Redis said no; the next command is given on the same line."""
    before = client.client_id()
    client.set("text", "x")
    with pytest.raises(redis.ResponseError):
        client.incr("text")
    assert client.client_id() == before


class Interrupted(BaseException):
    """What a signal raises, as Celery's soft time limit does."""


def test_no_command_is_given_the_reply_to_an_interrupted_one(
    client: ThreadClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal between a command and its reply: what Redis answers to it is nobody's."""
    client.set("key", "value")
    client.ping()
    mine = client._of_this_thread()

    def interrupt(*_: object) -> None:
        raise Interrupted

    handler = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with monkeypatch.context() as patch:
            # Here redis-py has sent the command, and is about to read.
            patch.setattr(
                mine, "parse_response", lambda *_, **__: os.kill(os.getpid(), signal.SIGUSR1)
            )
            with pytest.raises(Interrupted):
                client.get("key")
    finally:
        signal.signal(signal.SIGUSR1, handler)
    assert client.incr("number") == 1


def test_a_signals_handler_is_given_the_reply_to_its_own_command(kept: KeptConnection) -> None:
    """So is the command that it interrupted; beat's handler of SIGTERM gives its lock back."""
    told: list[object] = []
    before = signal.signal(signal.SIGALRM, lambda *_: told.append(kept.echo("inner")))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        assert kept.execute_command("BLPOP", "nothing", "0.5") is None
    finally:
        signal.signal(signal.SIGALRM, before)
    assert told == [b"inner"]
    assert kept.ping()


def test_an_outage_costs_a_command_no_more_than_its_retries(
    kept: KeptConnection, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command connects once for each of its tries; nobody asks a closed socket first."""
    monkeypatch.setattr(redis_client, "_IDLE", 0)
    kept.set("kept", "yes")
    server.stop()
    tries: list[object] = []
    kind = type(kept.connection)
    connecting = kind.connect_check_health

    def connect_check_health(*arguments: object, **options: object) -> None:
        tries.append(arguments)
        connecting(*arguments, **options)

    monkeypatch.setattr(kind, "connect_check_health", connect_check_health)
    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            kept.get("kept")
    assert len(tries) == 3
    server.start()
    assert kept.get("kept") == b"yes"


def test_a_client_that_is_made_connects_to_nothing(server: RedisServer) -> None:
    """A pool process that never asks costs no connection; one that is closed gives it back."""
    pool = redis.ConnectionPool.from_url(server.url)
    kept = KeptConnection(pool)
    assert connections(server) == 0
    kept.ping()
    kept.close()
    pool.disconnect(inuse_connections=False)
    assert connections(server) == 0
    assert kept.ping()
    kept.close()
    pool.close()


def test_a_child_needs_no_lock_that_its_parent_held(
    kept: KeptConnection, server: RedisServer
) -> None:
    """Another thread was in the middle of a command when the process forked."""
    busy = threading.Thread(target=lambda: kept.blpop(["nothing"], timeout=2))
    busy.start()
    with server.client() as other:
        until(lambda: other.info("clients")["blocked_clients"] == 1, "it waits")
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(5)
        os._exit(0 if kept.ping() else 1)
    assert os.waitpid(child, 0)[1] == 0
    busy.join(10)


@pytest.mark.parametrize("name", ["client", "kept"])
def test_a_child_does_not_share_its_parents_connection(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Two processes that read from one socket would get each other's replies."""
    client = request.getfixturevalue(name)
    mine = client.client_id()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, str(client.client_id()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 20)) != mine
    assert client.client_id() == mine


def test_closing_ends_the_connections_of_all_threads(server: RedisServer) -> None:
    """And who goes on using it is connected again."""
    client = ThreadClient.from_url(server.url)
    client.ping()
    client.close()
    assert connections(server) == 0
    assert client.ping()
    client.close()


def test_more_threads_than_redis_py_thinks_of_have_a_connection_each(server: RedisServer) -> None:
    """A pool of 150 threads is one of Celery's options; the ledger must not end its jobs."""
    client, together, failures = connect(server.url), threading.Barrier(150), list[Exception]()

    def ask() -> None:
        try:
            client.ping()
            together.wait(20)
            with client.pipeline() as pipe:
                pipe.ping().execute()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    client.close()
    assert failures == []


def test_a_duty_has_connections_of_its_own(client: ThreadClient, server: RedisServer) -> None:
    """To the same server, with a patience of its own."""
    own = apart(client, timedelta(seconds=3))
    assert own.ping()
    assert client.ping()
    assert own.connection_pool is not client.connection_pool
    assert own.connection_pool.connection_kwargs["socket_timeout"] == 3
    assert client.connection_pool.connection_kwargs["socket_timeout"] == 10
    assert own.get_connection_kwargs()["decode_responses"] is True
    own.connection_pool.disconnect()
