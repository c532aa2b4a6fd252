"""RabbitMQ's confirm may never come; whoever publishes is told, and does not wait for ever."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from purista_celery import Service, Settings, compile_app
from purista_celery.errors import BrokerUnavailable
from purista_celery.producer import events, jobs
from tests.support.line import Line
from tests.support.servers import RedisServer, require_rabbitmq


@pytest.fixture
def line() -> Iterator[Line]:
    """The way to RabbitMQ."""
    made = Line.to(require_rabbitmq())
    yield made
    made.close()


@pytest.fixture
def ledger() -> Iterator[RedisServer]:
    made = RedisServer().start()
    yield made
    made.close()


@pytest.mark.timeout(120)
def test_a_confirm_that_never_comes_is_not_waited_for(
    line: Line, ledger: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emitter gets a coded error; a job is accepted and will be offered by a stager."""
    for module in (events, jobs):
        monkeypatch.setattr(module, "CONFIRM_WITHIN", 0.5)
    service = Service("confirms")
    happened = service.event("confirms.happened", payload=int)
    work = service.queue("confirms.work", payload=int)
    settings = Settings(
        broker_url=line.through(require_rabbitmq()),
        ledger_url=ledger.url,
        namespace=f"t{uuid.uuid4().hex[:10]}",
    )
    app = compile_app([service], settings)
    app.purista.emit(happened, 1)

    line.hang()

    with pytest.raises(BrokerUnavailable):
        app.purista.emit(happened, 2)
    job_id = app.purista.enqueue(work, 3).job_id
    assert app.purista.job(job_id).status == "pending"
    line.mend()
    with app.connection_for_write() as connection, connection.channel() as channel:
        channel.exchange_delete(f"{settings.namespace}.events")
    app.close()
    app.purista_runtime.ledger.client.close()
