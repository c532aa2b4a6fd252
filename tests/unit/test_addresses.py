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
