"""Events without a queue to go to: noticed, and mended where somebody is known to hear."""

from __future__ import annotations

import pytest
from kombu import Queue

from purista_celery.errors import BrokerUnavailable
from purista_celery.messages.job import JobMessage
from purista_celery.runtime.relay import Relay
from tests.acceptance.faults.conftest import Faulty
from tests.acceptance.faults.services import placed, unheard
from tests.acceptance.faults.test_deletion import HEARERS, forget_all
from tests.acceptance.spine.services import Work, happened, work
from tests.support.waiting import until

COMPLETED = "sub.listener.1.completed"


def waiting(faults: Faulty, key: str) -> int:
    """Return how many events wait in a subscription's inbox."""
    name = faults.app.purista_runtime.inboxes[key].name
    with faults.app.connection_for_write() as connection, connection.channel() as channel:
        count = 0
        while channel.basic_get(name, no_ack=True) is not None:
            count += 1
        return count


def completed_with_result(faults: Faulty) -> str:
    """Run a job in this process; its result event is in the outbox and is tried to be published."""
    runtime = faults.app.purista_runtime
    job_id = faults.enqueue().job_id
    message = JobMessage.from_wire(runtime.ledger.message(work.name, job_id))
    execution = runtime.executor.execute(message, "here/1")
    runtime.executor.publish(execution.results)
    return job_id


@pytest.fixture
def faults(faults: Faulty, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    """Handlers run in this process."""
    monkeypatch.setenv("STAGE", str(faults.stage.directory))
    return faults


def test_an_event_whose_queues_were_deleted_reaches_all_who_hear_it(faults: Faulty) -> None:
    """The emitter, which declared them long ago, notices and declares them again."""
    faults.client.emit(placed, Work(n=1))
    forget_all(faults)

    faults.client.emit(placed, Work(n=2))

    assert {hearer: waiting(faults, f"sub.shop.1.{hearer}") for hearer in HEARERS} == dict.fromkeys(
        HEARERS, 1
    )


def test_an_event_that_nobody_hears_is_no_error(faults: Faulty) -> None:
    """It is published into the void, as an event may be."""
    faults.client.emit(unheard, Work())


def test_a_required_result_event_whose_queue_was_deleted_is_not_dropped(faults: Faulty) -> None:
    """It leaves the outbox only into a queue."""
    runtime = faults.app.purista_runtime
    completed_with_result(faults)
    assert waiting(faults, COMPLETED) == 1
    forget_all(faults)

    completed_with_result(faults)

    assert waiting(faults, COMPLETED) == 1
    assert runtime.ledger.client.hlen(runtime.ledger.keys(work.name).outbox) == 0


@pytest.mark.parametrize("stage", ["rabbitmq"], indirect=True)  # On Redis all can be bound.
def test_a_required_result_event_that_can_not_be_routed_waits_in_the_outbox(
    faults: Faulty,
) -> None:
    """Its queue is there, is bound to nothing, and can not be declared: the event is kept, and a
    relay publishes it when somebody has put the broker in order.
    """
    runtime = faults.app.purista_runtime
    faults.client.emit(placed, Work())
    heard = (happened.name, work.results.success.name, "spine.#")
    hearers = [inbox for inbox in runtime.inboxes.values() if inbox.routing_key in heard]
    with faults.app.connection_for_write() as connection, connection.channel() as channel:
        for inbox in hearers:
            channel.queue_delete(inbox.name)
            Queue(inbox.name, durable=False, channel=channel).queue_declare()

    with pytest.raises(BrokerUnavailable, match="PreconditionFailed"):
        faults.client.emit(happened, Work())
    job_id = completed_with_result(faults)
    outbox = runtime.ledger.keys(work.name).outbox
    assert runtime.ledger.client.hkeys(outbox) == [f"{job_id}:success"]

    with faults.app.connection_for_write() as connection, connection.channel() as channel:
        for inbox in hearers:
            channel.queue_delete(inbox.name)
    relay = Relay(runtime)
    until(lambda: relay.look() or not runtime.ledger.client.hlen(outbox), "it is published")
    relay.close()
    assert waiting(faults, COMPLETED) == 1
