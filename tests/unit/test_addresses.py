"""Which broker and ledger URLs are taken, one and several."""

from __future__ import annotations

import pytest

from purista_celery import Settings
from purista_celery.endpoints import resolve
from purista_celery.errors import ConfigurationError
from purista_celery.exports.servers import server_of

LEDGER = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize(
    "url",
    [
        "amqp://a:1;amqp://b:2",
        "amqp://a:1//;amqp://b:2//",
        "amqp://u:p%40@a;amqps://u:p%40@b:5671/v;pyamqp://c",
    ],
)
def test_several_nodes_of_a_rabbitmq_are_taken(url: str) -> None:
    """With a virtual host or without, as Celery has it."""
    assert resolve(Settings(broker_url=url, ledger_url=LEDGER)).broker_url == url
    assert server_of(url).protocol == "amqp"


@pytest.mark.parametrize(
    ("broker", "ledger", "says"),
    [
        # Kombu would go on with its own Redis transport, which loses messages.
        ("amqp://a//;redis://b", LEDGER, r"names 2 brokers \(amqp, redis\)"),
        ("redis://a;amqp://b", LEDGER, r"names 2 brokers \(redis, amqp\)"),
        ("redis://a;redis://b", LEDGER, "give the address of its primary"),
        ("amqp://a;sqs://b", LEDGER, "scheme 'sqs'"),
        ("amqp://a;b", LEDGER, "PURISTA_BROKER_URL is no URL"),
        ("amqp://a;", LEDGER, "PURISTA_BROKER_URL is no URL"),
        ("amqp://a:1;amqp://b:x", LEDGER, "PURISTA_BROKER_URL is no URL"),
        ("amqp://a", "redis://a;redis://b", "PURISTA_LEDGER_URL names several"),
    ],
)
def test_what_can_not_stand_in_for_each_other_is_refused(
    broker: str, ledger: str, says: str
) -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigurationError, match=says):
        resolve(Settings(broker_url=broker, ledger_url=ledger))


@pytest.mark.parametrize("url", ["amqp://u:hunter2@a;redis://b", "amqp://u:hunter2@a;amqp://b:x"])
def test_a_refused_address_is_not_shown(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(ConfigurationError) as caught:
        resolve(Settings(broker_url=url, ledger_url=LEDGER))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("rediss://h/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://h/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        # One database for both: redis-py goes by the query, Kombu by the path.
        ("redis://:p%40@h:1/0?db=2", "redis://:p%40@h:1/2"),
        ("redis://h?db=3&client_name=a", "redis://h/3?client_name=a"),
        ("unix:///run/r.sock?virtual_host=2", "unix:///run/r.sock?db=2"),
        (" redis://h/1\n", "redis://h/1"),
        ("REDIS://[::1]:1/4", "redis://[::1]:1/4"),
    ],
)
def test_kombu_and_redis_py_read_one_address(url: str, read: str) -> None:
    """As Celery's manual and as redis-py's have it."""
    found = resolve(Settings(broker_url=url))
    assert found.broker_url == found.ledger_url == read


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("rediss://h/0?ssl_cert_reqs=bogus", "ssl_cert_reqs is required, optional or none"),
        ("redis://h/0?health_check_interval=soon", "has a value that can not be read"),
        ("redis://h/0?protocol=9", "has a value that can not be read"),
        ("redis://h/zero", "the database is no number"),
        ("redis://h/0?db=x", "the database is no number"),
        ("redis://h/-1", "the database is no number"),
        ("redis://h/0?nonsense=1", "'nonsense'; expected only client_name"),
        # What this process waits for follows from its settings, which fit each other.
        ("redis://h/0?socket_timeout=300", "'socket_timeout'.* follow from PURISTA_BROKER_TIMEOUT"),
        ("redis://h/0?retry=x&max_connections=1", "'max_connections', 'retry'"),
        ("redis://h/0?Password=hunter2", "has its password in the query"),
        ("amqps://h?ssl_cert_reqs=bogus", "ssl_cert_reqs is required, optional or none"),
        ("amqp://h;amqp://h?heartbeat=x", "has a value that can not be read"),
        ("amqp://h?connection_timeout=3", "'connection_timeout'; expected only heartbeat"),
        ("amqp://a, amqp://b", "is no URL that can be read"),
    ],
)
def test_what_would_be_a_bare_error_of_the_first_call_is_refused(url: str, says: str) -> None:
    """With a code, when it is read, for broker and ledger."""
    with pytest.raises(ConfigurationError, match=f"PURISTA_BROKER_URL.*{says}") as caught:
        resolve(Settings(broker_url=url, ledger_url=LEDGER))
    assert "hunter2" not in str(caught.value)
    if "amqp" not in url:
        with pytest.raises(ConfigurationError, match=f"PURISTA_LEDGER_URL.*{says}"):
            resolve(Settings(broker_url=LEDGER, ledger_url=url))


def test_every_node_of_a_list_is_read_without_the_space_before_it() -> None:
    """Kombu would take the second one's host for a path, and go on with localhost."""
    found = resolve(Settings(broker_url="amqp://a:1; amqp://b:2", ledger_url=LEDGER))
    assert found.broker_url == "amqp://a:1;amqp://b:2"
