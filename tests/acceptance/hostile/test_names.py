"""Two applications on one broker, and names that somebody else has taken before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Queue

from purista_celery import Service, Settings, compile_app
from purista_celery.errors import BrokerUnavailable
from purista_celery.ledger.records import RawMessage
from purista_celery.runtime.runtime import runtime_of
from tests.acceptance.spine.conftest import Spine, compiled, forget
from tests.acceptance.spine.services import Work, happened, work
from tests.support.processes import staged
from tests.support.servers import RedisServer, require_rabbitmq


@pytest.fixture
def neighbour(spine: Spine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """The same services in a namespace of their own, on the same broker."""
    directory = tmp_path_factory.mktemp("neighbour")
    with staged(spine.stage.broker_url, spine.stage.ledger_url, directory) as stage:
        made = compiled(stage)
        yield made
        stage.close()
        forget(made)


@pytest.fixture
def rabbit_spine(redis_server: RedisServer, tmp_path: Path) -> Iterator[Spine]:
    with staged(require_rabbitmq(), redis_server.url, tmp_path) as stage:
        made = compiled(stage)
        yield made
        stage.close()
        forget(made)


def test_one_applications_tools_do_not_reach_the_others_workers(
    spine: Spine, neighbour: Spine
) -> None:
    """Ping, lists of queues, monitoring events, and shutdown."""
    ours, theirs = spine.worker("-c", "1", "-E"), neighbour.worker("-c", "1", "-E")
    inspect = spine.app.control.inspect(timeout=2)

    assert list(inspect.ping()) == [f"w1@{spine.stage.namespace}"]
    assert neighbour.stage.namespace not in str(inspect.active_queues())
    heard: set[str] = set()
    with spine.app.connection_for_read() as connection:
        receiver = spine.app.events.Receiver(
            connection, handlers={"*": lambda event: heard.add(event["hostname"])}
        )
        receiver.capture(limit=4, timeout=10, wakeup=True)
    assert {each.partition("@")[2] for each in heard} == {spine.stage.namespace}

    spine.app.control.shutdown()
    assert ours.ended() == 0
    assert list(neighbour.app.control.inspect(timeout=2).ping()) == [
        f"w1@{neighbour.stage.namespace}"
    ]
    assert theirs.process.poll() is None


def test_a_queue_with_other_properties_is_used_as_it_is_and_told_of(rabbit_spine: Spine) -> None:
    """Of a former version, or of a stranger: no worker is locked out, no producer refused."""
    spine = rabbit_spine
    classic = (f"{spine.stage.namespace}.default", f"{spine.stage.namespace}.job.{work.name}")
    declare(spine, *(Queue(name, durable=True) for name in classic))
    first = spine.enqueue(n=1)
    worker = spine.worker("-c", "1")
    second = spine.enqueue(n=2)

    for receipt in (first, second):
        assert spine.client.wait(receipt.job_id, 20).status == "completed"
    for name in classic:
        told = f"[PURISTA_QUEUE_MISMATCH] Broker queue '{name}'"
        assert worker.text.count(told) == 1, worker.text[-3000:]
    assert "Traceback" not in worker.text


def test_a_queue_that_the_broker_refuses_holds_up_no_other(rabbit_spine: Spine) -> None:
    """Its jobs wait in the ledger until the broker lets it go, and then run."""
    spine = rabbit_spine
    name = f"{spine.stage.namespace}.job.{work.name}"
    with Connection(spine.stage.broker_url) as connection, connection.channel() as channel:
        Queue(name, exclusive=True)(channel).declare()
        receipt = spine.enqueue(n=1)
        worker = spine.worker("-c", "1")
        spine.client.emit(happened, Work(n=1))
        spine.await_trace("spine.happened")
        assert spine.client.job(receipt.job_id).status == "pending"
        assert worker.text.count(f"[PURISTA_QUEUE_UNAVAILABLE] The broker refuses queue '{name}'")
    assert spine.client.wait(receipt.job_id, 60).status == "completed"
    assert "Restoring" not in worker.text


def test_an_inbox_with_other_properties_is_used_as_it_is(rabbit_spine: Spine) -> None:
    """Events reach it from whoever emits them, and the router makes jobs of them."""
    spine = rabbit_spine
    inboxes = runtime_of(spine.app).inboxes
    declare(spine, *(Queue(inbox.name, durable=True) for inbox in inboxes.values()))
    spine.client.emit(happened, Work(n=1))
    worker = spine.worker("-c", "1")

    spine.await_trace("completed", count=1)
    assert "[PURISTA_QUEUE_MISMATCH]" in worker.text
    assert "it starts anew" not in worker.text


def test_a_taken_control_exchange_keeps_no_worker_from_its_work(rabbit_spine: Spine) -> None:
    """It works without remote control, and says so."""
    spine = rabbit_spine
    name = f"{spine.app.conf.control_exchange}.pidbox"
    with Connection(spine.stage.broker_url) as connection, connection.channel() as channel:
        Exchange(name, type="topic", durable=True)(channel).declare()
        try:
            worker = spine.worker("-c", "1")
            receipt = spine.enqueue(n=1)
            assert spine.client.wait(receipt.job_id, 20).status == "completed"
            assert "The broker refuses the queue for remote control" in worker.text
        finally:
            channel.exchange_delete(name)


def test_a_control_exchange_that_is_deleted_is_told_with_a_code(rabbit_spine: Spine) -> None:
    """Who has sent a command before gets the coded error, and is answered once workers connect
    anew.
    """
    spine = rabbit_spine
    worker = spine.worker("-c", "1")
    assert spine.app.control.inspect(timeout=5).ping()
    with Connection(spine.stage.broker_url) as connection, connection.channel() as channel:
        channel.exchange_delete(f"{spine.app.conf.control_exchange}.pidbox")
    with pytest.raises(BrokerUnavailable, match="Command 'ping' was not accepted: NotFound"):
        spine.app.control.inspect(timeout=1).ping()
    worker.kill()
    spine.worker("-c", "1")
    assert spine.app.control.inspect(timeout=5).ping()


def test_a_producer_without_the_worker_declares_the_queue_as_its_workers_do(
    rabbit_spine: Spine,
) -> None:
    """What it knows is a contract; nothing but a worker consumes from the queue."""
    stage = rabbit_spine.stage
    web = Service("web")
    call = web.queue(work.name, payload=Work, output=work.output)
    app = compile_app(
        [web],
        Settings(
            broker_url=stage.broker_url, ledger_url=stage.ledger_url, namespace=stage.namespace
        ),
    )
    receipt = app.purista.enqueue(call, Work(n=1))

    assert [queue.name for queue in app.conf.task_queues] == [f"{stage.namespace}.default"]
    worker = rabbit_spine.worker("-c", "1")
    assert rabbit_spine.client.wait(receipt.job_id, 20).status == "completed"
    assert "MISMATCH" not in worker.text
    app.close()


def again(spine: Spine, queue: Queue) -> None:
    """Delete a queue and declare it before its consumers are told."""
    with Connection(spine.stage.broker_url) as connection, connection.channel() as channel:
        queue(channel).delete()
        queue(channel).declare()


def test_a_queue_that_is_deleted_and_back_at_once_brings_its_jobs(rabbit_spine: Spine) -> None:
    """RabbitMQ 3.10 keeps such a queue's consumers, and hands them what they never get; what runs
    meanwhile ends where it began.
    """
    spine = rabbit_spine
    spine.stage.extra |= {"PURISTA_LOST_GRACE": "2"}
    worker = spine.worker("-c", "2")
    running = spine.enqueue(seconds=15)
    spine.await_trace("start", running.job_id)

    again(spine, spine.app.amqp.queues[f"{spine.stage.namespace}.job.{work.name}"])

    waiting = [spine.enqueue(n=n) for n in range(5)]
    for receipt in (*waiting, running):
        status = spine.client.wait(receipt.job_id, 60)
        assert (status.status, status.attempt) == ("completed", 1), worker.text[-3000:]
        assert len(spine.traced("start", receipt.job_id)) == 1
    assert worker.text.count("their messages do not come") == 1


def test_a_letter_whose_queue_is_gone_is_kept(rabbit_spine: Spine) -> None:
    """RabbitMQ drops what is published to no queue; the letter is the only copy."""
    spine = rabbit_spine
    producer, queue = runtime_of(spine.app).producer, f"{spine.stage.namespace}.stranger"
    with pytest.raises(BrokerUnavailable, match="is gone"):
        producer.offer_raw(RawMessage(b"x", {}, queue))
    producer.offer_raw(RawMessage(b"x", {}, f"{spine.stage.namespace}.job.{work.name}"))


def declare(spine: Spine, *queues: Queue) -> None:
    with Connection(spine.stage.broker_url) as connection, connection.channel() as channel:
        for queue in queues:
            queue(channel).declare()
