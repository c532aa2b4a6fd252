"""Where the broker is the Redis that keeps the schedules, an occurrence is published at once.

That is, in the step that writes it down: there is no moment between the two.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from kombu import Connection, Queue
from redis import Redis

from purista_celery.compiler.configuration import base_app
from purista_celery.endpoints import resolve
from purista_celery.errors import BrokerUnavailable, NotLeading, PublishFailed
from purista_celery.messages.envelope import Sender
from purista_celery.producer.bridge import TopicBridge
from purista_celery.producer.events import EventPublisher, new_event
from purista_celery.schedules.operations import pause
from purista_celery.schedules.state import State
from purista_celery.settings import Settings
from purista_celery.transport import Condition
from tests.support.servers import RedisServer

KEY = "clock/1/tick"
BRIDGE = TopicBridge("app")
#: Always agrees.
YES = Condition("return {'done'}", [], [])


def publisher_at(url: str) -> Iterator[EventPublisher]:
    settings = Settings(broker_url=url, namespace="app")
    app = base_app(Celery, "app", settings, resolve(settings))
    yield EventPublisher(app, BRIDGE)
    app.close()


@pytest.fixture
def publisher(world: Any, schedule_redis: RedisServer) -> Iterator[EventPublisher]:
    """What the beats of the world publish with, on the Redis of their schedules."""
    for publisher in publisher_at(schedule_redis.url):
        world.publisher = publisher
        bind(schedule_redis, "inbox")
        yield publisher


def bind(server: RedisServer, name: str) -> None:
    with Connection(server.url, transport_options={"global_keyprefix": "app:"}) as connection:
        Queue(name, BRIDGE.exchange, routing_key="#")(connection.default_channel).declare()


def messages(world: Any, name: str = "inbox") -> list[dict[str, Any]]:
    """Return the messages of a queue, oldest first."""
    return [json.loads(text) for text in reversed(world.client.lrange(f"app:{name}", 0, -1))]


def state(world: Any) -> State:
    return State.from_wire(world.client.hget(world.keys.entry(KEY), "meta"))


def meanwhile(
    publisher: EventPublisher, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]
) -> None:
    """Let something happen right before the next occurrence is published."""
    publish, left = publisher.publish_if, [happens]

    def publish_if(*arguments: Any) -> list[str]:
        while left:
            left.pop()()
        return publish(*arguments)

    monkeypatch.setattr(publisher, "publish_if", publish_if)


def scripts_run(client: Redis) -> int:
    stats: Any = client.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


@pytest.mark.usefixtures("publisher")
def test_an_occurrence_takes_one_script(world: Any, every: Any) -> None:
    """Three occurrences take two more than one does; each is counted, as it was sent."""
    beat = world.beat(every(), every(20, name="tack"), every(20, name="tock"))
    world.run(beat, seconds=19)  # Redis has seen all scripts by then.
    counts = []
    for _ in range(2):
        before, sent = scripts_run(world.client), len(messages(world))
        world.run(beat, seconds=1)
        counts.append((scripts_run(world.client) - before, len(messages(world)) - sent))
        world.run(beat, seconds=9)
    (three, sent_three), (one, sent_one) = counts
    assert (sent_three, sent_one, three - one) == (3, 1, 2)
    assert state(world).runs == 3


def test_the_message_is_as_any_other(publisher: EventPublisher, world: Any) -> None:
    """Its readers can not tell how it was published."""
    sender = Sender(service_name="s", service_version="1", service_target="t", instance_id="i")
    event = new_event("clock.ticked", sender=sender)
    publisher.publish(event)
    assert publisher.publish_if(YES, event) == ["done"]
    one, other = messages(world)
    for message in (one, other):
        assert message["properties"].pop("delivery_tag")
        # There where a tracer is set; each publish is a span of its own.
        message["headers"].pop("traceparent", None)
    assert one == other


def test_who_has_lost_the_lock_publishes_nothing(
    publisher: EventPublisher, world: Any, every: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost after the beat has looked at it: the step itself is refused."""
    beat = world.beat(every())
    world.run(beat, seconds=9)
    before = state(world)
    meanwhile(publisher, monkeypatch, lambda: world.client.set(world.keys.lock, "somebody else"))
    with pytest.raises(NotLeading):
        world.run(beat, seconds=1)
    assert (messages(world), state(world), beat.leadership.term) == ([], before, None)


def test_a_pause_holds_from_the_moment_it_is_made(
    publisher: EventPublisher, world: Any, every: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of a tick."""
    beat = world.beat(every())
    world.run(beat, seconds=9)
    meanwhile(
        publisher, monkeypatch, lambda: pause(world.client, world.keys, KEY, world.now, "audit")
    )
    world.run(beat, seconds=15)
    assert (messages(world), state(world).runs) == ([], 0)


def test_an_answer_that_got_lost_is_asked_for_again(
    publisher: EventPublisher, world: Any, every: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat finds that it is done, publishes nothing, and beat goes on."""
    publish = publisher.publish_if
    monkeypatch.setattr(publisher, "publish_if", lambda *a: (publish(*a), publish(*a))[1])
    world.run(world.beat(every()), seconds=20)
    assert len({message["properties"]["message_id"] for message in messages(world)}) == 2
    assert (len(messages(world)), state(world).runs) == (2, 2)


def test_a_queue_that_is_bound_meanwhile_gets_it(
    publisher: EventPublisher,
    world: Any,
    every: Any,
    schedule_redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bindings are read again, and the occurrence is written down with that."""
    beat = world.beat(every())
    world.run(beat, seconds=10)
    meanwhile(publisher, monkeypatch, lambda: bind(schedule_redis, "late"))
    world.run(beat, seconds=10)
    assert [len(messages(world, name)) for name in ("inbox", "late")] == [2, 1]
    assert state(world).runs == 2


@pytest.mark.usefixtures("publisher")
def test_what_can_not_be_stored_is_not_written_down(world: Any, every: Any) -> None:
    """Something else lies where the queue should be: the occurrence waits, as its second try."""
    beat = world.beat(every())
    world.run(beat, seconds=9)
    world.client.set("app:inbox", "no list")
    with pytest.raises(BrokerUnavailable):
        world.run(beat, seconds=1)
    assert (state(world).runs, state(world).error) == (0, PublishFailed.code)
    world.client.delete("app:inbox")
    world.run(beat, seconds=5)
    [message] = messages(world)
    event = json.loads(base64.b64decode(message["body"]))
    assert (event["schedule"]["attempt"], state(world).runs) == (2, 1)


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"])
def test_where_the_broker_is_needs_no_connection(world: Any, broker: str) -> None:
    """Schedules that publish nothing must not wait for a broker that is away."""
    for publisher in publisher_at(broker):
        with publisher.lend() as producer:
            assert not publisher.reaches(producer, world.client)
            there = Redis.from_url("redis://127.0.0.1:1/0")
            assert publisher.reaches(producer, there) is broker.startswith("redis")


def test_a_broker_that_has_never_been_there_is_noted(world: Any, every: Any) -> None:
    """The schedule says that its first try has failed."""
    for publisher in publisher_at("redis://127.0.0.1:1/0"):
        world.publisher = publisher
        with pytest.raises(BrokerUnavailable):
            world.run(world.beat(every()), seconds=10)
        assert (state(world).attempt, state(world).error) == (1, PublishFailed.code)


def test_a_step_that_is_owed_is_paid_before_an_occurrence_is_published(
    publisher: EventPublisher, world: Any, every: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a beat which dies then has no more than the one occurrence in hand."""
    beat = world.beat(every(name="a", concurrency="forbid"), every(name="b"))
    world.run(beat, seconds=9)
    seen = []
    meanwhile(
        publisher,
        monkeypatch,
        lambda: seen.append(world.client.hget(world.keys.entry("clock/1/a"), "meta")),
    )
    world.run(beat, seconds=1)
    assert [State.from_wire(meta).runs for meta in seen] == [1]
