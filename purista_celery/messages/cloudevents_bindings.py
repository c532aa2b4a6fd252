"""CloudEvents over HTTP and AMQP, as data: headers or properties, and a body. No server here.

*Structured* mode has all of the event in the body, as ``application/cloudevents+json``; *binary*
mode has the payload there and the rest in headers. Both are the ``cloudevents`` package's bindings;
payloads of any JSON are ours, because the package writes a list as Python's text of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

# First of all: it says which extra is missing.
from purista_celery.messages.cloudevents import Mode, from_cloud_event, is_json, to_cloud_event

# isort: split
from cloudevents.core.bindings import amqp, http
from cloudevents.core.bindings.amqp import AMQPMessage
from cloudevents.core.bindings.http import HTTPMessage
from cloudevents.core.formats.json import JSONFormat

from purista_celery.errors import InvalidMessage
from purista_celery.messages.envelope import AnyEvent

Content = Literal["structured", "binary"]

#: What the AMQP binding calls the event's time.
_AMQP_TIME = "cloudEvents_time"


class _Format(JSONFormat):
    """The package's JSON, for payloads of any JSON in binary mode too."""

    def write_data(self, data: Any, datacontenttype: str | None) -> bytes:
        """Return a payload as a body."""
        if data is not None and is_json(datacontenttype or self.DEFAULT_CONTENT_TYPE):
            return json.dumps(data).encode()
        return super().write_data(data, datacontenttype)

    def read_data(self, body: bytes, datacontenttype: str | None) -> Any:
        """Return the payload of a body."""
        if body and is_json(datacontenttype or self.DEFAULT_CONTENT_TYPE):
            return json.loads(body)
        return super().read_data(body, datacontenttype)


class _Received:
    """What a message says, as it says it: the package would add a time, and refuse camelCase."""

    def __init__(self, attributes: dict[str, Any], data: Any = None) -> None:
        self.attributes = attributes
        self.data = data


_FORMAT = _Format()


def to_http(event: AnyEvent, content: Content = "structured") -> HTTPMessage:
    """Return the headers and the body of an HTTP request or response.

    Raises:
        InvalidMessage: no CloudEvent can say it.
    """
    write = http.to_structured if content == "structured" else http.to_binary
    return write(to_cloud_event(event), _FORMAT)


def from_http(message: HTTPMessage, *, mode: Mode) -> AnyEvent:
    """Read an HTTP request or response of either content mode.

    Raises:
        InvalidMessage: it is no CloudEvent 1.0, or lacks what the mode asks for.
    """
    return _read(http.from_http, message, mode)


def to_amqp(event: AnyEvent, content: Content = "structured") -> AMQPMessage:
    """Return properties, application properties (headers, in AMQP 0-9-1) and body of a message.

    Raises:
        InvalidMessage: no CloudEvent can say it.
    """
    if content == "structured":
        return amqp.to_structured(to_cloud_event(event), _FORMAT)
    message = amqp.to_binary(to_cloud_event(event), _FORMAT)
    # The package computes it with floats, and is a millisecond off at times.
    time = {_AMQP_TIME: event.timestamp}
    return replace(message, application_properties={**message.application_properties, **time})


def from_amqp(message: AMQPMessage, *, mode: Mode) -> AnyEvent:
    """Read an AMQP message of either content mode.

    Raises:
        InvalidMessage: it is no CloudEvent 1.0, or lacks what the mode asks for.
    """
    return _read(amqp.from_amqp, message, mode)


def _read(parse: Any, message: HTTPMessage | AMQPMessage, mode: Mode) -> AnyEvent:
    try:
        received: _Received = parse(message, _FORMAT, _Received)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidMessage(f"Not a CloudEvent: {error}.") from error
    return from_cloud_event({**received.attributes, "data": received.data}, mode=mode)
