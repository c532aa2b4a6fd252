"""What a message opens to, on either broker: nothing, where that is not known to be bounded."""

from __future__ import annotations

import bz2
import lzma
import zlib
from base64 import b64encode
from typing import Any

import pytest
from amqp import Message as AmqpRaw
from kombu.transport import pyamqp

from purista_celery.transport import connection_settings
from purista_celery.transport.connection import Connection
from purista_celery.transport.plain import (
    OPTION,
    AmqpMessage,
    AmqpTlsTransport,
    AmqpTransport,
    RedisMessage,
    Refused,
)

BOUNDS = {"size": 1_000, "depth": 10, "parts": 100}


class Channel:
    """As much of a channel as a message asks for."""

    def __init__(self) -> None:
        self.connection = self
        self.client = self
        self.transport_options = {OPTION: BOUNDS}

    def decode_body(self, body: Any, encoding: Any) -> Any:
        from base64 import b64decode

        return b64decode(body) if encoding == "base64" else body


def amqp(body: bytes, encoding: str = "utf-8", **headers: Any) -> Any:
    raw = AmqpRaw(body, application_headers=headers, content_encoding=encoding)
    raw.delivery_info = {}
    return AmqpMessage(raw, channel=Channel())


def redis(body: bytes, encoding: str = "utf-8", **headers: Any) -> Any:
    properties = {"body_encoding": "base64", "delivery_tag": "t"}
    return RedisMessage(
        {
            "body": b64encode(body).decode(),
            "content-encoding": encoding,
            "content-type": "application/json",
            "headers": headers,
            "properties": properties,
        },
        channel=Channel(),
    )


@pytest.mark.parametrize("made", [amqp, redis])
@pytest.mark.parametrize(
    ("method", "compress"),
    [
        ("application/x-gzip", zlib.compress),
        ("zlib", zlib.compress),
        ("bzip2", bz2.compress),
        ("application/x-lzma", lzma.compress),
        ("no-such-method", bytes),
        (["zlib"], bytes),
    ],
)
def test_a_compressed_body_stays_as_it_came(made: Any, method: Any, compress: Any) -> None:
    """By whatever method; the consumer is told that it can not be read."""
    body = compress(b'{"method":"ping"}')
    message = made(body, compression=method)
    assert message.body == body
    with pytest.raises(Refused, match="compressed"):
        message._reraise_error()


@pytest.mark.parametrize("made", [amqp, redis])
@pytest.mark.parametrize(
    ("body", "encoding", "problem"),
    [
        (b"[" * 11 + b"]" * 11, "utf-8", "nested"),
        (b"[" + b"1," * 200 + b"1]", "utf-8", "values"),
        (b" " * 1_001, "utf-8", "bytes"),
        ("[]".encode("utf-16"), "utf-16", "encoding"),
        (b"[]", "zip", "encoding"),
    ],
)
def test_a_body_beyond_bounds_is_not_read(
    made: Any, body: bytes, encoding: str, problem: str
) -> None:
    """It is left as it came, too."""
    message = made(body, encoding)
    assert message.body == body
    with pytest.raises(Refused, match=problem):
        message._reraise_error()


@pytest.mark.parametrize("made", [amqp, redis])
def test_an_ordinary_body_is_read(made: Any) -> None:
    """As Kombu reads it."""
    message = made(b'{"a":[1]}')
    assert not message.errors
    assert bytes(message.body) == b'{"a":[1]}'


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("amqp://a//", AmqpTransport),
        ("pyamqp://a//", AmqpTransport),
        ("amqps://a//", AmqpTlsTransport),
        ("a", AmqpTransport),
    ],
)
def test_the_transport_is_ours_for_each_way_to_write_a_url(url: str, kind: type) -> None:
    """With TLS where the URL says so."""
    connection = Connection(url)
    assert type(connection.transport) is kind
    assert type(connection.clone().transport) is kind
    assert isinstance(connection.transport, pyamqp.Transport)
    assert bool(connection.ssl) == (kind is AmqpTlsTransport)


def test_it_is_ours_after_a_failover_too() -> None:
    """To the next of several URLs."""
    connection = Connection("amqp://a//;amqps://b//")
    connection.maybe_switch_next()
    assert connection.hostname == "b"
    assert type(connection.transport) is AmqpTlsTransport


def test_on_redis_it_is_ours_too() -> None:
    """Over the transport that the settings name."""
    found = connection_settings("redis://localhost/0")
    connection = Connection(found["broker_url"], transport=found["broker_transport"])
    channel: Any = connection.transport.Channel
    assert channel.Message is RedisMessage
