"""The broker forgets: queues and bindings are deleted behind everybody's back."""

from __future__ import annotations

from amqp.exceptions import NotFound

from tests.acceptance.faults.conftest import Faulty
from tests.acceptance.faults.services import placed
from tests.acceptance.spine.services import Work
from tests.support.waiting import until

#: Who hears ``shop.order.placed``.
HEARERS = ("exactly", "any_words", "in_the_middle")


def queues(faults: Faulty) -> list[str]:
    inboxes = faults.app.purista_runtime.inboxes.values()
    return [queue.name for queue in (*faults.app.conf.task_queues, *inboxes)]


def forget_all(faults: Faulty) -> None:
    """Delete all of the namespace that the broker knows: RabbitMQ's queues, Kombu's keys."""
    if faults.stage.broker_url.startswith("amqp"):
        with faults.app.connection_for_write() as connection, connection.channel() as channel:
            for name in queues(faults):
                channel.queue_delete(name)
        return
    client = faults.app.purista_runtime.ledger.client
    # The ledger's own keys begin with a brace.
    for key in client.scan_iter(f"{faults.stage.namespace}:*"):
        client.delete(key)


def declared(faults: Faulty) -> bool:
    """Tell whether all queues are there (on Redis a queue is nothing but its messages)."""
    if not faults.stage.broker_url.startswith("amqp"):
        return True
    with faults.app.connection_for_write() as connection:
        for name in queues(faults):
            try:
                connection.channel().queue_declare(name, passive=True)
            except NotFound:
                return False
    return True


def test_queues_are_deleted_under_a_running_worker(faults: Faulty) -> None:
    """It declares and consumes them again; waiting jobs are offered again, each runs once, and
    events and result events are heard as before.
    """
    worker = faults.worker("-c", "1")
    running = faults.enqueue("deaf", seconds=3).job_id
    faults.await_trace("start", running)
    waiting = [faults.enqueue(n=n).job_id for n in range(5)]

    forget_all(faults)

    until(lambda: declared(faults), lambda: f"all queues are declared again; {worker.text[-2000:]}")
    for job_id in (running, *waiting):
        assert faults.client.wait(job_id, 40).attempt == 1, worker.text[-3000:]
        faults.await_trace("completed", f"{job_id}:success")
        assert len(faults.traced("start", job_id)) == 1
    faults.client.emit(placed, Work(n=1))
    for hearer in HEARERS:
        faults.await_trace(hearer, placed.name)
    assert worker.process.poll() is None


def test_queues_are_deleted_while_nobody_runs(faults: Faulty) -> None:
    """The next worker is offered every job by the ledger, and an emitter that had declared the
    queues before does so again: the event waits there for the first worker.
    """
    ids = [faults.enqueue(n=n).job_id for n in range(5)]
    faults.client.emit(placed, Work(n=1))

    forget_all(faults)
    faults.client.emit(placed, Work(n=2))
    ids.append(faults.enqueue(n=5).job_id)

    faults.worker("-c", "2")
    for job_id in ids:
        assert faults.client.wait(job_id, 40).attempt == 1
        assert len(faults.traced("start", job_id)) == 1
    for hearer in HEARERS:
        faults.await_trace(hearer, placed.name)
    # The first event went with the queue that it was in.
    assert [line[4] for line in faults.traced("exactly")] == ["2"]
