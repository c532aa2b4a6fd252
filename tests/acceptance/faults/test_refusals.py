"""A Redis that refuses is an outage, to a worker and to a caller: broker and ledger at once."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis

from purista_celery.errors import BrokerUnavailable, LedgerUnavailable
from tests.acceptance.faults.conftest import APP, Faulty, compiled
from tests.acceptance.faults.services import placed
from tests.acceptance.spine.conftest import forget
from tests.acceptance.spine.services import Work, patient
from tests.support.processes import Worker, staged
from tests.support.servers import RedisServer, free_port
from tests.support.waiting import until

Client = redis.Redis
Refusing = Callable[[Client, RedisServer], AbstractContextManager[None]]


@contextmanager
def full(client: Client, server: RedisServer) -> Iterator[None]:
    del server
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


@contextmanager
def replicating(client: Client, server: RedisServer) -> Iterator[None]:
    """A replica of a primary that is not there."""
    del server
    client.execute_command("REPLICAOF", "127.0.0.1", free_port())
    try:
        yield
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def unreplicated(client: Client, server: RedisServer) -> Iterator[None]:
    del server
    client.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        client.config_set("min-replicas-to-write", 0)


@contextmanager
def unable_to_save(client: Client, server: RedisServer) -> Iterator[None]:
    """What is in the snapshot's place can not be replaced, as on a full disk."""
    (server.directory / "dump.rdb" / "in-the-way").mkdir(parents=True)
    client.config_set("save", "3600 1")
    _snapshot(client, "err")
    try:
        yield
    finally:
        shutil.rmtree(server.directory / "dump.rdb")
        _snapshot(client, "ok")
        client.config_set("save", "")


def _snapshot(client: Client, status: str) -> None:
    client.bgsave()
    until(
        lambda: (
            client.info("persistence")["rdb_last_bgsave_status"] == status
            and not client.info("persistence")["rdb_bgsave_in_progress"]
        ),
        f"a snapshot is {status}",
    )


@contextmanager
def busy(client: Client, server: RedisServer) -> Iterator[None]:
    client.config_set("lua-time-limit", 50)
    thread = threading.Thread(target=_loop, args=[server])
    thread.start()
    until(lambda: _is_busy(client), "the script runs for longer than it may")
    try:
        yield
    finally:
        client.script_kill()
        thread.join()


def _loop(server: RedisServer) -> None:
    with server.client() as client, pytest.raises(redis.ResponseError):
        client.eval("while true do end", 0)


def _is_busy(client: Client) -> bool:
    try:
        client.ping()
    except redis.ResponseError:
        return True
    return False


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    made = RedisServer().start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def refused(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """A stage on a server of its own, whose broker and ledger refuse together."""
    directory: Path = tmp_path_factory.mktemp("refused")
    with staged(server.url, server.url, directory) as stage:
        # With the lease and the liveness of production, which outlast the test's outages.
        made = Faulty(stage, compiled(stage, stage.broker_url, stage.ledger_url))
        yield made
        stage.close()
        forget(made)


@pytest.fixture(scope="module")
def worker(refused: Faulty) -> Worker:
    """One worker for all refusals, which works at one job and has a process to spare."""
    return refused.stage.worker(APP, "-c", "2", "--without-gossip")


@pytest.mark.parametrize(
    ("refusing", "code"),
    [
        (full, "OOM"),
        (replicating, "READONLY"),
        (unreplicated, "NOREPLICAS"),
        (unable_to_save, "MISCONF"),
        (busy, "BUSY"),
    ],
)
def test_a_worker_outlives_a_redis_that_refuses(
    server: RedisServer, refused: Faulty, worker: Worker, refusing: Refusing, code: str
) -> None:
    """It keeps the outcome of what ran, and says once that its broker or ledger is away, and once
    that it is back; a caller gets a coded error, and what it enqueues afterwards runs.
    """
    before = len(worker.text)

    def said() -> list[str]:
        return worker.text[before:].splitlines()

    job_id = refused.client.enqueue(patient, Work(seconds=1.5)).job_id
    refused.await_trace("start", job_id)

    with server.client() as control, refusing(control, server):
        with pytest.raises(LedgerUnavailable, match=rf"takes nothing \({code} "):
            refused.client.enqueue(patient, Work(n=2))
        with pytest.raises(BrokerUnavailable, match=rf"was not accepted: .*\({code} "):
            refused.client.emit(placed, Work(n=2))
        refused.await_trace("end", job_id)
        until(lambda: _says(said(), code), "main process and pool say so")

    status = refused.client.wait(job_id, 30)
    assert (status.status, status.attempt) == ("completed", 1)
    after = refused.client.enqueue(patient, Work()).job_id
    assert refused.client.wait(after, 30).attempt == 1
    refused.client.emit(placed, Work(n=server.port), event_id=after)
    refused.await_trace("exactly", str(server.port), count=len(refused.traced("end")) // 2)
    assert len(refused.traced("start", job_id)) == 1
    until(lambda: _is_over(said()), "the worker says that it is over")
    assert worker.process.poll() is None
    _assert_said_once(said())


def _says(lines: list[str], code: str) -> bool:
    """Tell whether a process of the pool could not settle, and the main process said why."""
    away = [line for line in lines if f" takes no commands: {code}" in line]
    return bool(_mains(away)) and len(_mains(away)) < len(away)


def _mains(lines: list[str]) -> list[str]:
    return [line for line in lines if "/MainProcess" in line]


def _is_over(lines: list[str]) -> bool:
    """Tell whether the main process has taken back what it said."""
    began = sum(" takes no commands" in line for line in _mains(lines))
    return began == sum(" takes commands again" in line for line in _mains(lines))


def _assert_said_once(lines: list[str]) -> None:
    for who in ("broker", "ledger"):
        assert sum(f"The {who} takes no commands" in line for line in _mains(lines)) <= 1, lines
    # Besides, one line of each who looks after something, and not one at each try.
    assert sum("WARNING" in line or "ERROR" in line for line in lines) < 15, lines
    assert not any("Traceback" in line for line in lines), lines
