"""RabbitMQ blocks its publishers while an alarm is on: nobody waits for it, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from purista_celery import Service, Settings, compile_app
from purista_celery.compiler.app import CompiledApp
from purista_celery.errors import BrokerUnavailable
from purista_celery.runtime.depth import depth
from purista_celery.transport.rabbitmq import Blocked
from tests.support.rabbitmq import RabbitServer, require_rabbitmq_server
from tests.support.servers import RedisServer
from tests.support.waiting import until

service = Service("alarm")
happened = service.event("alarm.happened", payload=int)
work = service.queue("alarm.work", payload=int)


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitServer]:
    require_rabbitmq_server()
    made = RabbitServer().start()
    yield made
    made.close()


@pytest.fixture
def app(node: RabbitServer) -> Iterator[CompiledApp]:
    ledger = RedisServer().start()
    made = compile_app([service], Settings(broker_url=node.url, ledger_url=ledger.url))
    yield made
    made.close()
    made.purista_runtime.ledger.client.close()
    ledger.close()


def takes(app: CompiledApp) -> bool:
    try:
        app.purista.emit(happened, 3)
    except BrokerUnavailable:
        return False
    return True


@pytest.mark.timeout(120)
def test_a_blocked_broker_is_told_and_not_waited_for(node: RabbitServer, app: CompiledApp) -> None:
    """Jobs are accepted and offered later, events refused, each without waiting for a confirm; the
    second of them without a message of which nobody knows whether it will be there afterwards.
    """
    client, ledger = app.purista, app.purista_runtime.ledger
    assert takes(app)
    client.enqueue(work, 1)
    node.control("set_vm_memory_high_watermark", "absolute", "1")
    until(lambda: not takes(app), "the alarm is on")

    jobs = [client.enqueue(work, n).job_id for n in (2, 3)]
    with pytest.raises(BrokerUnavailable, match="RabbitMQ blocks its publishers") as caught:
        client.emit(happened, 2)
    assert isinstance(caught.value.__cause__, Blocked)
    assert [client.job(job_id).status for job_id in jobs] == ["pending", "pending"]
    assert {offer.job_id for offer in ledger.take_urgent(work.name, 10)} == set(jobs)

    node.control("set_vm_memory_high_watermark", "0.9")
    until(lambda: takes(app), "it takes messages again")
    client.enqueue(work, 4)
    with app.connection_for_write() as connection:
        # The first and the last: those in between were not sent at all.
        assert depth(connection, app.purista_runtime.wiring.queue(work.name)) == 2
