"""Settling deliveries: grouped acknowledgements, restores, delivery counts, leases."""

from __future__ import annotations

import gc
import json
import threading
import time
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Exchange, Producer, Queue
from transport_support import OURS, until

from purista_celery.errors import ConfigurationError
from purista_celery.transport import DeliveryLeases, connection_settings


def publish(connection: Connection, queue: str, *bodies: Any, **options: Any) -> None:
    producer = Producer(connection.default_channel)
    for body in bodies:
        producer.publish(body, routing_key=queue, serializer="json", **options)


def drain(connection: Connection, enough: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not enough():
        assert time.monotonic() < end, "messages did not come"
        try:
            connection.drain_events(timeout=0.1)
        except TimeoutError:
            continue


def calls(client: redis.Redis, command: str) -> int:
    found: int = client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"]
    return found


def unsettled(client: redis.Redis) -> int:
    return client.hlen("unacked") + client.zcard("unacked_index")


def end_leases(client: redis.Redis) -> None:
    for tag in client.zrange("unacked_index", 0, -1):
        client.zadd("unacked_index", {tag: 0})


# -- acknowledgements -----------------------------------------------------------------------------


def test_acknowledgements_travel_with_the_claims(connect, client):
    """A busy consumer settles 200 messages with far fewer commands, and none of them its own."""
    connection = connect()
    publish(connection, "q", *range(200))
    client.config_resetstat()
    channel, got = connection.channel(), []

    def take(message):
        got.append(message)
        message.ack()

    with Consumer(channel, [Queue("q", Exchange(""))], on_message=take, prefetch_count=10):
        drain(connection, lambda: len(got) == 200)
    connection.release()
    assert unsettled(client) == 0
    # hdel and zrem inside of a script are counted too: one per claim, not one per message.
    assert calls(client, "hdel") < 60
    assert calls(client, "evalsha") < 60


def test_acknowledgement_is_sent_when_no_claim_follows(connect, client):
    """Somebody who gets one message, acknowledges it and never polls again has settled it."""
    connection = connect()
    publish(connection, "q", 1)
    connection.default_channel.basic_get("q").ack()
    until(lambda: unsettled(client) == 0, seconds=5)


def test_acknowledgement_with_full_prefetch_frees_a_place(connect, client):
    """With prefetch 1, each acknowledgement brings the next message at once."""
    connection = connect()
    publish(connection, "q", *range(10))
    got: list[Any] = []
    with Consumer(
        connection.channel(), [Queue("q", Exchange(""))], on_message=got.append, prefetch_count=1
    ):
        started = time.monotonic()
        for number in range(10):
            drain(connection, lambda wanted=number: len(got) > wanted)
            got[-1].ack()
    assert time.monotonic() - started < 5
    until(lambda: unsettled(client) == 0, seconds=5)


def test_acknowledgement_after_the_consumer_was_cancelled(connect, client):
    """A message may be settled after its consumer is gone."""
    connection = connect()
    publish(connection, "q", 1)
    got: list[Any] = []
    with Consumer(connection.channel(), [Queue("q", Exchange(""))], on_message=got.append):
        drain(connection, lambda: got)
    got[0].ack()
    until(lambda: unsettled(client) == 0, seconds=5)


def test_closing_sends_acknowledgements_before_it_restores(connect, client):
    """Of two messages, the acknowledged one stays settled and the other one goes back."""
    connection = connect()
    publish(connection, "q", "done", "open")
    channel = connection.channel()
    done, left = channel.basic_get("q"), channel.basic_get("q")
    done.ack()
    channel.close()
    assert left.decode() == "open"
    assert (client.llen("q"), unsettled(client)) == (1, 0)
    assert connection.default_channel.basic_get("q").decode() == "open"


def test_acknowledgements_from_other_threads(connect, client):
    """Threads may settle what the consuming thread received."""
    connection = connect()
    publish(connection, "q", *range(300))
    got: list[Any] = []
    threads: list[threading.Thread] = []

    def take(message):
        got.append(message)
        threads.append(threading.Thread(target=message.ack))
        threads[-1].start()

    with Consumer(
        connection.channel(), [Queue("q", Exchange(""))], on_message=take, prefetch_count=20
    ):
        drain(connection, lambda: len(got) == 300)
        for thread in threads:
            thread.join(10)
    until(lambda: unsettled(client) == 0, seconds=5)
    assert sorted(message.decode() for message in got) == list(range(300))


def test_acknowledgement_after_the_channel_was_closed(connect, client):
    """Work that ends after a reconnect is settled still, if its message was not given back."""
    connection = connect()
    publish(connection, "q", 1)
    channel = connection.channel()
    message = channel.basic_get("q")
    channel.qos._delivered.clear()  # as when the restore at the connection's end failed
    channel.close()
    assert unsettled(client) == 2
    message.ack()
    until(lambda: unsettled(client) == 0, seconds=5)
    assert client.llen("q") == 0


def test_closing_does_not_cut_off_an_acknowledgement_under_way(connect, client, monkeypatch):
    """A channel may be closed at the very moment in which its acknowledgements are being sent."""
    monkeypatch.setattr("purista_celery.transport.acks.LONGEST_WAIT", 0.001)
    publish(connect(), "q", *range(60))
    for _ in range(60):
        # An error in the sending thread is a warning of pytest's, hence a failure.
        connection = connect()
        connection.default_channel.basic_get("q").ack()
        connection.release()
    assert client.llen("q") == 0
    until(lambda: unsettled(client) == 0, seconds=5)


def test_late_acknowledgement_frees_no_prefetch_twice(connect):
    """An acknowledgement of a delivery that the channel no longer counts changes no count."""
    connection = connect()
    publish(connection, "q", 1, 2)
    channel = connection.default_channel
    channel.basic_qos(prefetch_count=1)
    first = channel.basic_get("q")
    channel.qos.restore_unacked()
    first.ack()
    channel.basic_get("q")
    assert not channel.qos.can_consume()


# -- restores -------------------------------------------------------------------------------------


def test_restore_goes_to_the_queue_of_origin_only(connect, client):
    """With a topic exchange, the copy that another queue got is not made again."""
    connection = connect()
    exchange = Exchange("events", "topic")
    channel = connection.default_channel
    for name in ("one", "two"):
        Queue(name, exchange, routing_key="order.#")(channel).declare()
    Producer(channel).publish({"n": 1}, exchange=exchange, routing_key="order.paid")
    connection.default_channel.basic_get("one").requeue()
    assert (client.llen("one"), client.llen("two")) == (1, 1)


def test_restore_needs_no_declared_exchange(connect, client):
    """A worker that never declared the exchange puts its message back all the same."""
    publisher = connect()
    exchange = Exchange("events", "topic")
    Queue("one", exchange, routing_key="order.#")(publisher.default_channel).declare()
    Producer(publisher.default_channel).publish(1, exchange=exchange, routing_key="order.paid")
    connect().default_channel.basic_get("one").requeue()
    assert client.llen("one") == 1


@pytest.mark.parametrize(
    ("priority", "key"),
    [
        (0, b"q"),  # the first step has no suffix
        (4, b"q\x06\x163"),  # between two steps: the lower one
        (9, b"q\x06\x169"),  # the last step
    ],
)
def test_restore_keeps_the_priority(connect, client, priority, key):
    """A message returns to the list of its own priority step."""
    connection = connect()
    publish(connection, "q", 1, priority=priority)
    assert client.llen(key) == 1
    connection.default_channel.basic_get("q").requeue()
    assert client.llen(key) == 1


def test_restore_changes_nothing_else_in_the_message(connect, client):
    """Large numbers, floats, empty arrays and text arrive as they were sent."""
    body = {"big": 12345678901234567890, "float": 0.1, "empty": [], "none": {}, "text": "ä\u2028"}
    connection = connect()
    publish(connection, "q", body, headers={"list": [], "big": 12345678901234567890})
    before = client.lindex("q", 0)
    channel = connection.default_channel
    channel.basic_get("q").requeue()
    after = client.lindex("q", 0)
    assert after == b'{"deliveries": 1, ' + before[1:]
    message = channel.basic_get("q")
    assert message.decode() == body
    assert message.headers["list"] == []
    assert message.headers["big"] == 12345678901234567890


def test_deliveries_are_counted(connect):
    """Every delivery after the first says so, and how many there were before it."""
    connection = connect()
    publish(connection, "q", 1, headers={"own": "kept"})
    channel = connection.default_channel
    message = channel.basic_get("q")
    assert "redelivered" not in message.headers
    for count in (1, 2, 3):
        message.requeue()
        message = channel.basic_get("q")
        assert message.headers["x-delivery-count"] == count
        assert message.headers["redelivered"] is True
        assert message.headers["own"] == "kept"
        assert message.delivery_info["redelivered"] is True


def test_count_survives_a_stock_consumer(connect, connect_stock):
    """When stock Kombu requeues a message, its count goes on from there with us."""
    connection = connect()
    publish(connection, "q", 1)
    connection.default_channel.basic_get("q").requeue()
    connect_stock().default_channel.basic_get("q").requeue()
    message = connection.default_channel.basic_get("q")
    assert message.headers["x-delivery-count"] == 1
    message.requeue()
    assert connection.default_channel.basic_get("q").headers["x-delivery-count"] == 2


def test_closing_restores_in_order(connect):
    """What a channel held is consumed next, in the order in which it was sent."""
    connection = connect()
    publish(connection, "q", *range(250))
    channel = connection.channel()
    for _ in range(230):
        channel.basic_get("q")
    channel.close()
    got = [connection.default_channel.basic_get("q").decode() for _ in range(250)]
    assert got == list(range(250))


def test_requeue_goes_behind_what_waits(connect):
    """As with stock Kombu, a requeued message does not hold up the others."""
    connection = connect()
    publish(connection, "q", 1, 2)
    channel = connection.default_channel
    channel.basic_get("q").requeue()
    assert channel.basic_get("q").decode() == 2


def test_ended_lease_is_noticed_by_any_consumer(connect, client):
    """A delivery whose lease has ended comes again, counted, to whoever polls."""
    holder, other = connect(), connect()
    publish(holder, "q", "x")
    holder.default_channel.basic_get("q")
    end_leases(client)
    got: list[Any] = []
    with Consumer(other.channel(), [Queue("q", Exchange(""))], on_message=got.append):
        drain(other, lambda: got)
    assert got[0].headers["x-delivery-count"] == 1


def test_sweep_is_bounded(connect, client):
    """One look for ended leases puts back a limited number of deliveries."""
    connection = connect()
    publish(connection, "q", *range(150))
    channel = connection.channel()
    for _ in range(150):
        channel.basic_get("q")
    end_leases(client)
    connection.default_channel.qos.restore_visible()
    assert client.llen("q") == 100


def test_sweep_restores_what_stock_kombu_recorded(connect, connect_stock, client):
    """Messages that a stock worker held when it died come back, by queue or through an exchange."""
    stock, connection = connect_stock(), connect()
    exchange = Exchange("events", "topic")
    for each in (stock, connection):
        Queue("topical", exchange, routing_key="a.#")(each.default_channel).declare()
    publish(stock, "plain", 1)
    Producer(stock.default_channel).publish(2, exchange=exchange, routing_key="a.b")
    for queue in ("plain", "topical"):
        stock.default_channel.basic_get(queue)
    end_leases(client)
    connection.default_channel.qos.restore_visible()
    assert (client.llen("plain"), client.llen("topical"), unsettled(client)) == (1, 1, 0)


def test_lease_without_a_record_is_cleared(connect, client):
    """A leftover in the index does not stay for ever."""
    client.zadd("unacked_index", {"nothing": 0})
    connect().default_channel.qos.restore_visible()
    assert unsettled(client) == 0


# -- leases ---------------------------------------------------------------------------------------


def test_each_queue_has_its_lease(connect, client):
    """queue_leases sets how long a delivery is held; other queues use visibility_timeout."""
    connection = connect(visibility_timeout=100, queue_leases={"long": 5000, "short": 10})
    now = client.time()[0]
    for queue, lease in (("long", 5000), ("short", 10), ("other", 100)):
        publish(connection, queue, 1)
        tag = connection.default_channel.basic_get(queue).delivery_tag
        assert client.zscore("unacked_index", tag) == pytest.approx(now + lease - 100, abs=5)


@pytest.mark.parametrize("prefix", ["", "app:"])
def test_leases_are_extended_from_another_thread(connect, client, prefix):
    """extend moves the end of each lease by its own length and names those that are lost."""
    connection = connect(visibility_timeout=100, global_keyprefix=prefix)
    publish(connection, "q", 1, 2)
    channel = connection.default_channel
    first, second = channel.basic_get("q"), channel.basic_get("q")
    leases = DeliveryLeases.of(connection)
    wanted = {first.delivery_tag: 1000, second.delivery_tag: 2000, "gone": 1}
    lost: list[set[str]] = []
    thread = threading.Thread(target=lambda: lost.append(leases.extend(wanted)))
    thread.start()
    thread.join(10)
    assert lost == [{"gone"}]
    now = client.time()[0]
    index = f"{prefix}unacked_index"
    assert client.zscore(index, first.delivery_tag) == pytest.approx(now + 900, abs=5)
    assert client.zscore(index, second.delivery_tag) == pytest.approx(now + 1900, abs=5)
    assert leases.extend({}) == set()
    leases.close()


def test_lost_lease_is_reported_and_not_revived(connect, client):
    """A delivery that was put back is lost for its holder, also when somebody else has it now."""
    connection = connect()
    publish(connection, "q", 1)
    channel = connection.default_channel
    stale = channel.basic_get("q")
    end_leases(client)
    channel.qos.restore_visible()
    held = channel.basic_get("q")
    leases = DeliveryLeases.of(connection)
    assert leases.extend({stale.delivery_tag: 60, held.delivery_tag: 60}) == {stale.delivery_tag}
    assert client.zcard("unacked_index") == 1
    leases.close()


def test_leases_need_this_transport(connect_stock):
    """Asking for the leases of a stock connection names the remedy."""
    with pytest.raises(ConfigurationError, match="connection_settings"):
        DeliveryLeases.of(connect_stock())


# -- connections ----------------------------------------------------------------------------------


def test_unix_socket_works_from_settings(server, client):
    """A broker on a unix socket is used through this transport, database included."""
    settings = connection_settings(f"unix://{server.socket}?db=3")
    with Connection(settings["broker_url"], transport=settings["broker_transport"]) as connection:
        publish(connection, "q", 1)
        with connection.clone() as again:
            assert again.default_channel.basic_get("q").decode() == 1
        assert type(connection.transport).__module__.startswith("purista_celery")
        assert connection.as_uri() == f"redis+socket://{server.socket}"
    with redis.Redis(port=server.port, db=3) as third:
        assert third.llen("q") == 1
        third.flushdb()


def test_acknowledgement_emulation_can_not_be_switched_off(server):
    """ack_emulation=False would lose messages and is refused."""
    connection = Connection(server.url, transport=OURS, transport_options={"ack_emulation": False})
    with pytest.raises(ConfigurationError, match="ack_emulation"):
        connection.default_channel  # noqa: B018


def test_closing_while_redis_is_away_raises_nothing_of_its_own(connect, client):
    """Messages held at a broker's end are left to their leases, without an error."""
    connection = connect()
    publish(connection, "q", 1)
    channel = connection.channel()
    message = channel.basic_get("q")
    connection.transport.client = None  # as Kombu leaves it after a lost connection
    kept, pool = channel.plain_client.connection, channel.pool
    port, kept.port, pool.connection_kwargs["port"] = kept.port, 1, 1
    kept.disconnect()
    pool.disconnect()
    pool.reset()
    channel.close()
    assert client.hlen("unacked") == 1
    message.ack()
    kept.port, pool.connection_kwargs["port"] = port, port
    pool.reset()
    until(lambda: unsettled(client) == 0, seconds=10)


def test_a_closed_channel_leaves_no_connection_behind(connect, client):
    """Not even until its objects are collected."""
    before = len(client.client_list())
    gc.disable()
    try:
        for _ in range(3):
            connection = connect()
            channel = connection.channel()
            Producer(channel).publish({"n": 1}, routing_key="q")
            channel.close()
            connection.release()
        until(lambda: len(client.client_list()) == before, seconds=5)
    finally:
        gc.enable()


def test_records_are_readable_by_stock_tools(connect, client):
    """The unacked hash is JSON throughout, whatever the body."""
    connection = connect()
    publish(connection, "q", {"text": '","", "x"]'})
    connection.default_channel.basic_get("q")
    record = json.loads(client.hvals("unacked")[0])
    assert record[1:] == ["", "q"]
    connection.release()
    assert client.llen("q") == 1
