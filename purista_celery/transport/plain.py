"""Connections that hand over only messages whose bodies may be opened, on RabbitMQ and on Redis.

Kombu decompresses a message before anyone has looked at it, and reads JSON of any size and depth. A
body that is compressed or beyond bounds is left as it came here, and the consumer is told through
its ``on_decode_error``, as of one that can not be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kombu.exceptions import DecodeError
from kombu.transport import pyamqp
from kombu.transport.virtual.base import Message as VirtualMessage

from purista_celery.transport import rabbitmq
from purista_celery.transport.bounds import Bounds
from purista_celery.transport.channel import Channel as RedisChannel
from purista_celery.transport.transport import Transport

#: The transport option that holds the :class:`Bounds` of a body, as a mapping.
OPTION = "body_bounds"
#: Beyond what any message of ours needs.
_ENCODINGS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii", "binary"})
_UNBOUNDED = Bounds(2**62, 2**62, 2**62)


if TYPE_CHECKING:
    from kombu.message import Message as _Message
else:
    _Message = object


class Refused(DecodeError):
    """A body that is not opened."""


class _Closed(_Message):
    """A message that is read only as far as it may be."""

    errors: Any

    def __init__(self, raw: Any, channel: Any = None, **kwargs: Any) -> None:
        if method := _headers_of(raw).get("compression"):
            # Kombu does not touch the body of a message that has an error already.
            problem = f"it is compressed ({str(method)[:40]!r}). Send it as it is"
            self.errors = [_error(problem)]
        super().__init__(raw, channel=channel, **kwargs)
        if not self.errors and (excess := self._excess(_bounds_of(channel))):
            self.errors.append(_error(excess))

    def _excess(self, bounds: Bounds) -> str | None:
        encoding = self.content_encoding
        if encoding is not None and str(encoding).lower() not in _ENCODINGS:
            return f"its encoding is {str(encoding)[:40]!r}, expected UTF-8"
        body = self.body
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogatepass")
        return bounds.excess(bytes(body or b""))


class AmqpMessage(_Closed, pyamqp.Message):
    """Of RabbitMQ."""


class RedisMessage(_Closed, VirtualMessage):
    """Of our Redis transport."""


class AmqpChannel(rabbitmq.Channel):
    """With these messages."""

    Message: Any = AmqpMessage


class AmqpConnection(rabbitmq.AmqpConnection):
    """With these channels."""

    Channel = AmqpChannel


class AmqpTransport(rabbitmq.Transport):
    """For ``amqp://``, with these connections."""

    Connection = AmqpConnection


class AmqpTlsTransport(rabbitmq.TlsTransport):
    """For ``amqps://``, with these connections."""

    Connection = AmqpConnection


class _RedisChannel(RedisChannel):
    Message: Any = RedisMessage


class RedisTransport(Transport):
    """For Redis, with these messages."""

    Channel = _RedisChannel


def _headers_of(raw: Any) -> Mapping[str, Any]:
    if isinstance(raw, Mapping):
        return raw.get("headers") or {}
    return raw.properties.get("application_headers") or {}


def _bounds_of(channel: Any) -> Bounds:
    client = getattr(getattr(channel, "connection", None), "client", None)
    options = getattr(client, "transport_options", None) or {}
    bounds = options.get(OPTION)
    return Bounds(**bounds) if isinstance(bounds, Mapping) else _UNBOUNDED


def _error(problem: str) -> tuple[type[Refused], Refused, None]:
    return Refused, Refused(f"{problem}."), None
