"""Taking messages out of queues: the claim, its tags, its order, and its hints."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Producer, Queue
from transport_support import until

from purista_celery.transport import Channel
from purista_celery.transport.scripts import CLAIM


def queue_of(name: str, **options: Any) -> Queue:
    return Queue(name, Exchange(""), routing_key=name, **options)


def publish(connection: Connection, queue: str, *bodies: Any, **options: Any) -> None:
    producer = Producer(connection.default_channel)
    for body in bodies:
        producer.publish(body, routing_key=queue, serializer="json", **options)


def receive(
    connection: Connection, *queues: str, count: int, prefetch: int = 0, **options: Any
) -> list[Any]:
    """Consume until so many messages have come, and return them unacknowledged."""
    got: list[Any] = []
    channel = connection.channel()
    with Consumer(
        channel,
        [queue_of(queue) for queue in queues],
        on_message=got.append,
        prefetch_count=prefetch or None,
        **options,
    ):
        drain(connection, lambda: len(got) >= count)
    return got


def drain(connection: Connection, enough: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not enough():
        assert time.monotonic() < end, "messages did not come"
        try:
            connection.drain_events(timeout=0.1)
        except TimeoutError:
            continue


def test_claim_records_in_the_step_that_pops(connect, client):
    """Every message that left the queue is in the unacked hash and has a lease."""
    connection = connect()
    publish(connection, "q", *range(5))
    got = receive(connection, "q", count=3, prefetch=3)
    assert client.llen("q") == 2
    tags = {message.delivery_tag.encode() for message in got}
    assert set(client.hkeys("unacked")) == tags
    assert set(client.zrange("unacked_index", 0, -1)) == tags


def test_claim_is_one_command_and_pops_nothing_outside_of_it(connect, client):
    """Consuming uses no RPOP, BRPOP of a message list, ZADD or HSET from the client."""
    connection = connect()
    publish(connection, "q", *range(8))
    with client.monitor() as monitor:
        receive(connection, "q", count=8)
        client.echo("end")
        seen = []
        for command in monitor.listen():
            if command["command"].startswith("ECHO"):
                break
            if command["client_type"] != "lua":
                seen.append(command["command"])
    names = [line.split()[0] for line in seen]
    assert not {"RPOP", "ZADD", "HSET", "LPOP"} & set(names)
    assert all("wake" in line for line in seen if line.startswith("BRPOP"))


def test_record_has_kombus_format_with_the_queue_as_destination(connect, client):
    """The record is [message, "", queue], so that stock Kombu restores it to its queue."""
    connection = connect()
    publish(connection, "q", {"n": 1})
    receive(connection, "q", count=1)
    message, exchange, routing_key = json.loads(client.hvals("unacked")[0])
    assert (exchange, routing_key) == ("", "q")
    assert message["properties"]["delivery_info"]["routing_key"] == "q"


def test_each_delivery_has_a_tag_of_its_own(connect):
    """A message that is delivered again comes with another delivery tag."""
    connection = connect()
    publish(connection, "q", 1)
    channel = connection.default_channel
    first = channel.basic_get("q")
    first.requeue()
    second = channel.basic_get("q")
    assert first.delivery_tag != second.delivery_tag


def test_stale_holder_can_neither_acknowledge_nor_requeue(connect, client):
    """After its lease has ended, a holder's ack and requeue leave the new delivery alone."""
    connection = connect(visibility_timeout=1000, queue_leases={"q": 0})
    publish(connection, "q", "once")
    stale_channel, channel = connection.channel(), connection.channel()
    stale, late = stale_channel.basic_get("q"), None
    channel.qos.restore_visible()
    held = channel.basic_get("q")
    stale.ack()
    stale_channel.qos.acks.flush()
    assert client.hkeys("unacked") == [held.delivery_tag.encode()]
    assert stale_channel.qos.restore([stale.delivery_tag]) == 0
    assert client.llen("q") == 0
    assert late is None


def test_higher_priority_steps_come_first_across_queues(connect):
    """Priority steps are the outer loop: 0 first, as with Kombu on Redis."""
    connection = connect()
    for queue in ("a", "b"):
        publish(connection, queue, f"{queue}9", priority=9)
        publish(connection, queue, f"{queue}0", priority=0)
        publish(connection, queue, f"{queue}5", priority=5)
    got = [message.decode() for message in receive(connection, "a", "b", count=6)]
    assert [body[1] for body in got] == ["0", "0", "5", "5", "9", "9"]


def test_the_highest_priority_comes_first_when_asked_for(connect):
    """With ``priority_highest_first``, as AMQP has it; a message without a priority is last."""
    connection = connect(priority_highest_first=True)
    for priority in (0, 9, 5):
        publish(connection, "a", priority, priority=priority)
    assert [m.decode() for m in receive(connection, "a", count=3)] == [9, 5, 0]


def test_queues_take_turns(connect):
    """A busy queue does not hold up another one."""
    connection = connect()
    publish(connection, "busy", *["busy"] * 20)
    publish(connection, "calm", "calm")
    got = [message.decode() for message in receive(connection, "busy", "calm", count=4, prefetch=4)]
    assert "calm" in got[:2]


def test_queues_are_drained_in_order_when_the_strategy_says_so(connect):
    """With queue_order_strategy=sorted the first queue is emptied before the next one."""
    connection = connect(queue_order_strategy="sorted")
    publish(connection, "b", *["b"] * 3)
    publish(connection, "a", *["a"] * 3)
    got = [message.decode() for message in receive(connection, "b", "a", count=6)]
    assert got == ["a"] * 3 + ["b"] * 3


def test_messages_of_a_queue_keep_their_order(connect):
    """First in, first out."""
    connection = connect()
    publish(connection, "q", *range(40))
    assert [m.decode() for m in receive(connection, "q", count=40)] == list(range(40))


def test_prefetch_is_respected(connect, client):
    """No more than prefetch_count messages leave the queue while none is settled."""
    connection = connect()
    publish(connection, "q", *range(10))
    channel, got = connection.channel(), []
    with Consumer(channel, [queue_of("q")], on_message=got.append, prefetch_count=4):
        drain(connection, lambda: len(got) >= 4)
        for _ in range(3):
            with pytest.raises(socket.timeout):
                connection.drain_events(timeout=0.05)
        assert (len(got), client.llen("q")) == (4, 6)
        got[0].ack()
        drain(connection, lambda: len(got) >= 5)
        assert client.llen("q") == 5


def test_worker_disable_prefetch_is_respected(connect, client):
    """Where Celery answers for one message at a time, one message is claimed at a time."""
    connection = connect()
    publish(connection, "q", *range(10))
    channel, got = connection.channel(), []
    channel.qos.can_consume = lambda: len(got) < 2  # as Celery's worker_disable_prefetch does
    with Consumer(channel, [queue_of("q")], on_message=got.append):
        drain(connection, lambda: len(got) >= 2)
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.05)
        assert (len(got), client.llen("q")) == (2, 8)


def test_no_ack_consumer_leaves_no_record(connect, client):
    """A message for a no_ack consumer is gone once it was delivered."""
    connection = connect()
    publish(connection, "q", 1, 2)
    receive(connection, "q", count=2, no_ack=True)
    assert connection.default_channel.basic_get("q", no_ack=True) is None
    assert client.exists("unacked", "unacked_index") == 0


def test_basic_get_claims_atomically(connect, client):
    """basic_get pops and records in one step, and returns None when there is nothing."""
    connection = connect()
    publish(connection, "q", "x")
    message = connection.default_channel.basic_get("q")
    assert message.decode() == "x"
    assert client.hexists("unacked", message.delivery_tag)
    assert connection.default_channel.basic_get("q") is None


def test_claim_survives_a_server_that_forgot_its_scripts(connect, client):
    """After SCRIPT FLUSH both the polled and the direct claim load their script again."""
    connection = connect()
    publish(connection, "q", 1)
    assert len(receive(connection, "q", count=1)) == 1
    client.script_flush()
    publish(connection, "q", 2)
    assert len(receive(connection, "q", count=1)) == 1
    client.script_flush()
    publish(connection, "q", 3)
    assert connection.default_channel.basic_get("q").decode() == 3


def test_resent_claim_overwrites_nothing(connect, client):
    """A claim that the client library sends twice claims once; no record is lost."""
    connection = connect()
    publish(connection, "q", 1, 2)
    channel = connection.default_channel
    token = "token"
    channel._tokens = iter([token, token])
    first = channel.basic_get("q")
    assert channel.basic_get("q") is None
    assert client.hkeys("unacked") == [first.delivery_tag.encode()]
    assert client.llen("q") == 1


def test_hint_wakes_a_waiting_consumer_at_once(connect):
    """A message reaches an idle consumer long before its poll interval has passed."""
    connection = connect()
    connection.transport.brpop_timeout = 10
    channel, got = connection.channel(), []
    publisher = connect()
    with Consumer(channel, [queue_of("q")], on_message=got.append):
        until(lambda: _waits(connection, channel), what="the consumer to wait on its wake list")
        started = time.monotonic()
        publish(publisher, "q", "hello")
        drain(connection, lambda: got)
    assert time.monotonic() - started < 5


def _waits(connection: Connection, channel: Channel) -> bool:
    with contextlib.suppress(TimeoutError):
        connection.drain_events(timeout=0.02)
    return bool(channel._in_poll) and channel._claim is None


def test_hints_do_not_pile_up_and_go_when_the_queue_is_empty(connect, client):
    """A wake list is bounded, has an end of life, and a claim that empties the queue deletes it."""
    connection = connect()
    wake = connection.default_channel.keys.wake("q")
    publish(connection, "q", *range(50))
    assert client.llen(wake) <= 16
    assert 0 < client.pttl(wake) <= 60_000
    receive(connection, "q", count=50)
    drain(connection, lambda: not client.exists(wake))


def test_idle_consumer_does_not_spin(connect, client):
    """Nothing to do costs two commands per poll interval."""
    connection = connect()
    channel = connection.channel()
    with Consumer(channel, [queue_of("q")], on_message=lambda message: None):
        until(lambda: _waits(connection, channel))
        before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                connection.drain_events(timeout=0.1)
            except TimeoutError:
                continue
        after = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    # Claims and looks for ended leases, each about once or twice a second.
    assert after - before < 12


def test_stock_publisher_is_noticed_within_the_poll_interval(connect, connect_stock):
    """A publisher that leaves no hint costs one poll interval at most."""
    connection = connect()
    channel, got = connection.channel(), []
    with Consumer(channel, [queue_of("q")], on_message=got.append):
        until(lambda: _waits(connection, channel))
        started = time.monotonic()
        publish(connect_stock(), "q", "hello")
        drain(connection, lambda: got)
    assert time.monotonic() - started < 5
    assert got[0].decode() == "hello"


def test_stock_consumer_reads_what_we_publish(connect, connect_stock):
    """Messages are those of Kombu's own transport, also with a priority."""
    publish(connect(), "q", {"n": 1})
    publish(connect(), "q", {"n": 2}, priority=6)
    got = receive(connect_stock(), "q", count=2)
    assert [message.decode() for message in got] == [{"n": 1}, {"n": 2}]


def test_stock_kombu_restores_our_record_to_its_queue(connect, connect_stock, client):
    """A stock process that sweeps ended leases puts our delivery back where it came from."""
    connection = connect(visibility_timeout=0)
    publish(connection, "q", "x")
    connection.default_channel.basic_get("q")
    stock = connect_stock(visibility_timeout=0)
    stock.default_channel.qos.restore_visible(interval=1)
    assert (client.llen("q"), client.hlen("unacked")) == (1, 0)


def test_global_keyprefix_is_on_every_key(connect, client):
    """With global_keyprefix no key of the transport lies outside of it."""
    connection = connect(global_keyprefix="app:")
    publish(connection, "q", *range(3))
    got = receive(connection, "q", count=3, prefetch=3)
    got[0].ack()
    got[1].requeue()
    connection.default_channel.qos.restore_visible()
    assert all(key.startswith(b"app:") for key in client.scan_iter())
    assert client.exists("app:unacked", "app:unacked_index") == 2
    assert client.llen("app:q") == 1


def test_publish_batch_leaves_hints_with_its_messages(connect, client):
    """A producer's batch stores every message with a hint, with and without a key prefix."""
    for prefix in ("", "app:"):
        connection = connect(global_keyprefix=prefix)
        channel = connection.default_channel
        producer = Producer(channel)
        assert producer.supports_batch_publish
        with producer.batch():
            for number in range(5):
                producer.publish(number, routing_key="q", serializer="json")
        assert client.llen(f"{prefix}q") == 5
        assert client.llen(channel.keys.wake("q")) == 5


def test_expiring_queue_lives_on_while_it_is_consumed(connect, client):
    """x-expires is set by publishing and renewed by claiming."""
    connection = connect()
    queue = queue_of("q", expires=100)
    queue(connection.default_channel).declare()
    publish(connection, "q", 1, 2)
    assert 0 < client.pttl("q") <= 100_000
    client.persist("q")
    connection.default_channel.basic_get("q")
    assert 0 < client.pttl("q") <= 100_000


def test_purge_and_delete_remove_the_wake_list(connect, client):
    """Neither a purged nor a deleted queue leaves hints behind."""
    connection = connect()
    channel = connection.default_channel
    exchange = Exchange("x", "direct")
    bound = Queue("q", exchange, routing_key="q")(channel)
    bound.declare()
    publish(connection, "q", 1)
    assert bound.purge() == 1
    assert client.exists(channel.keys.wake("q")) == 0
    publish(connection, "q", 1)
    bound.delete()
    assert client.exists("q", channel.keys.wake("q")) == 0


@pytest.mark.parametrize(
    "item",
    [
        b"not json",  # not JSON at all
        b"\xff\xfe\x00",  # not even text
        b"5",  # JSON, but no message
        b"[1]",  # the same
        b"{}",  # an object without properties
        b'{"properties": 3}',  # properties of the wrong kind
        b'{"properties": {}, "headers": [1]}',  # headers of the wrong kind
        b'{"properties": {"body_encoding": "rot13"}, "body": "x"}',  # unknown encoding
        b'{"properties": {"body_encoding": "base64"}, "body": "x"}',  # undecodable body
        b'{"__type__": "uuid", "__value__": {}}',  # Kombu's JSON can not revive it
    ],
)
def test_unreadable_item_is_delivered_as_raw_bytes(connect, client, item):
    """An item that is no Kombu message arrives as octets; rejecting it settles it."""
    client.rpush("q", item)
    message = receive(connect(), "q", count=1)[0]
    assert message.body == item
    assert message.content_type == "application/octet-stream"
    assert message.headers == {}
    message.reject()
    until(lambda: client.hlen("unacked") == 0)


def test_unreadable_item_goes_back_byte_for_byte(connect, client):
    """Requeueing an item that is no message changes nothing in it."""
    client.rpush("q", b'\xff]\x00,""')
    message = connect().default_channel.basic_get("q")
    message.requeue()
    assert client.lrange("q", 0, -1) == [b'\xff]\x00,""']


def test_message_whose_consumer_is_gone_goes_back(connect, client):
    """A consumer cancelled while its messages are on their way loses none of them."""
    connection = connect()
    publish(connection, "q", *range(6))
    channel, got = connection.channel(), []

    def stop_after_two(message):
        got.append(message)
        if len(got) == 2:
            channel._basic_cancel(consumer_tag)

    consumer = Consumer(channel, [queue_of("q")], on_message=stop_after_two)
    consumer.consume()
    consumer_tag = next(iter(channel._consumers))
    drain(connection, lambda: len(got) == 2)
    assert client.llen("q") == 4
    assert [json.loads(item).get("deliveries") for item in client.lrange("q", 0, -1)] == [None] * 4
    left = [message.decode() for message in receive(connection, "q", count=4)]
    assert left == [2, 3, 4, 5]


def test_cancelling_while_reading_waits_for_the_read(connect, client):
    """basic_cancel inside a callback takes effect; what was not delivered is not lost."""
    connection = connect()
    publish(connection, "q", *range(6))
    channel, got = connection.channel(), []
    consumer = Consumer(channel, [queue_of("q")], prefetch_count=3)

    def cancel(message):
        got.append(message)
        consumer.cancel()

    consumer.on_message = cancel
    consumer.consume()
    drain(connection, lambda: got)
    assert client.llen("q") + client.hlen("unacked") == 6


def test_failing_callback_gives_back_what_was_claimed_with_it(connect, client):
    """When a callback raises, the messages behind it return to the queue."""
    connection = connect()
    publish(connection, "q", *range(4))
    channel = connection.channel()

    def fail(message):
        raise ZeroDivisionError

    with Consumer(channel, [queue_of("q")], on_message=fail):
        with pytest.raises(ZeroDivisionError):
            drain(connection, lambda: False)
        assert (client.llen("q"), client.hlen("unacked")) == (3, 1)


def test_consumer_that_works_in_its_callback_gets_one_message_at_a_time(
    connect, client, monkeypatch
):
    """Messages do not wait behind a consumer that works inside its callback; they go back."""
    monkeypatch.setattr("purista_celery.transport.channel.QUICK", -1.0)
    connection = connect()
    publish(connection, "q", *range(6))
    channel, got, waiting = connection.channel(), [], []

    def work(message):
        got.append(message.decode())
        waiting.append(client.llen("q"))

    with Consumer(channel, [queue_of("q")], on_message=work):
        drain(connection, lambda: len(got) == 6)
    assert got == list(range(6))
    assert waiting == [0, 4, 3, 2, 1, 0]


def test_claim_whose_reply_never_came_is_put_back(connect, client):
    """A connection that breaks after the claim was sent costs no message its place for long."""
    connection = connect()
    client.script_load(CLAIM.source)
    publish(connection, "q", *range(3))
    channel, got = connection.channel(), []
    with Consumer(channel, [queue_of("q")], on_message=got.append):
        connection.transport.cycle.on_poll_start()
        until(lambda: client.hlen("unacked") == 3)
        channel.client.connection.disconnect()
        drain(connection, lambda: len(got) == 3)
    assert [message.decode() for message in got] == [0, 1, 2]
    assert not got[0].headers.get("redelivered")


def test_out_of_memory_loses_nothing(connect, client):
    """When Redis refuses to grow, a claim still records all it pops."""
    connection = connect()
    publish(connection, "q", *range(10))
    channel = connection.default_channel
    client.config_set("maxmemory", 1)
    try:
        got = [channel.basic_get("q") for _ in range(10)]
        assert client.hlen("unacked") == 10
        got[0].requeue()
        assert client.llen("q") == 1
        for message in got[1:]:
            message.ack()
        until(lambda: client.hlen("unacked") == 0)
    finally:
        client.config_set("maxmemory", 0)


def subscribers(client) -> int:
    return sum(other["psub"] == "1" for other in client.client_list(_type="pubsub"))


def test_fanout_works_as_in_kombu(connect, client):
    """Broadcasts reach every consumer."""
    exchange = Exchange("news", "fanout")
    receivers = []
    for number in range(2):
        connection, got = connect(), []
        consumer = Consumer(
            connection.channel(),
            [Queue(f"reader{number}", exchange, exclusive=True, auto_delete=True)],
            on_message=got.append,
            no_ack=True,
        )
        consumer.consume()
        drain(connection, lambda wanted=number + 1: subscribers(client) == wanted)
        receivers.append((connection, got))
    producer = Producer(connect().default_channel)
    producer.publish("hello", exchange=exchange, declare=[exchange], serializer="json")
    for connection, got in receivers:
        drain(connection, lambda found=got: found)
        assert got[0].decode() == "hello"


def test_two_consumers_share_a_queue_without_overlap(connect):
    """Each message is delivered once while nobody fails, however many consume."""
    publish(connect(), "q", *range(200))
    seen: list[int] = []
    lock = threading.Lock()

    def consume() -> None:
        connection = connect()

        def take(message):
            with lock:
                seen.append(message.decode())
            message.ack()

        with Consumer(connection.channel(), [queue_of("q")], on_message=take, prefetch_count=5):
            drain(connection, lambda: len(seen) >= 200)

    threads = [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(seen) == list(range(200))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork only")
def test_forked_child_uses_connections_of_its_own(connect, client):
    """A child can publish over the channel that its parent opened; the parent is not disturbed."""
    connection = connect()
    channel = connection.default_channel
    publish(connection, "q", "parent")
    pid = os.fork()
    if pid == 0:  # pragma: no cover
        code = 1
        try:
            publish(connection, "q", "child")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert {channel.basic_get("q").decode(), channel.basic_get("q").decode()} == {"parent", "child"}
