"""Events as CloudEvents 1.0, and back, with nothing lost.

The mapping is PURISTA's (``toCloudEvent``, ``fromCloudEvent``), but for two things that the
specification asks for or that would be lost: names of extensions are lower-case, and the occurrence
of a schedule travels too. PURISTA's own camelCase names are read.

Needs the extra ``cloudevents``.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

from purista_celery.errors import ConfigurationError, InvalidMessage
from purista_celery.messages.envelope import AnyEvent

try:
    from cloudevents.core.base import BaseCloudEvent
    from cloudevents.core.exceptions import BaseCloudEventException
    from cloudevents.core.v1.event import CloudEvent
except ImportError as error:
    raise ConfigurationError(
        "CloudEvents need the package 'cloudevents'. Install 'purista-celery[cloudevents]'."
    ) from error

#: ``strict`` takes what a PURISTA service has sent; ``compat`` any CloudEvent.
Mode = Literal["strict", "compat"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

#: Extension -> field of the envelope, as it is on the wire.
TRACE = {
    "traceid": "traceId",
    "correlationid": "correlationId",
    "tenantid": "tenantId",
    "principalid": "principalId",
    "contentencoding": "contentEncoding",
    "otp": "otp",
}
SENDER = {
    "servicename": "serviceName",
    "serviceversion": "serviceVersion",
    "servicetarget": "serviceTarget",
    "instanceid": "instanceId",
}
#: At most 20 characters each, as the specification recommends.
SCHEDULE = {
    "schedulekey": "scheduleKey",
    "schedulename": "scheduleName",
    "scheduleoccurrenceid": "occurrenceId",
    "scheduledat": "scheduledAt",
    "schedulefiredat": "firedAt",
    "scheduleattempt": "attempt",
}


def to_cloud_event(event: AnyEvent) -> CloudEvent:
    """Return ``event`` as a CloudEvent; its data is the payload as JSON-able data.

    Raises:
        InvalidMessage: no CloudEvent can say it: without an id, a name or a year, or with a payload
            that is neither text nor JSON by its content type.
    """
    wire = event.to_wire()
    sender = event.sender
    source = (sender.service_name, sender.service_version, sender.service_target)
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": "/purista/" + "/".join(quote(part, safe=":@!$&'()*+,;=") for part in source),
        "type": event.event_name,
        "time": _time(event),
        "datacontenttype": event.content_type,
        **_extensions(wire, TRACE),
        **_extensions(wire["sender"], SENDER),
        **_extensions(wire.get("schedule", {}), SCHEDULE),
    }
    payload = wire.get("payload")
    if not is_json(event.content_type) and not isinstance(payload, str | None):
        raise InvalidMessage(
            f"Event {event.event_name!r} has content type {event.content_type!r} and a payload "
            f"that is no text. Leave the content type application/json."
        )
    return _checked(attributes, payload)


def from_cloud_event(source: BaseCloudEvent | Mapping[str, Any], *, mode: Mode) -> AnyEvent:
    """Return the event that a CloudEvent stands for.

    Args:
        source: a CloudEvent of the ``cloudevents`` package, or one in JSON's form, decoded.
        mode: ``strict`` asks for the sender's extensions. ``compat`` takes any CloudEvent: its
            sender is ``external`` version ``0``, target the event's name, and its time 0 where it
            has none. The package's own ``CloudEvent`` always has one.

    Raises:
        InvalidMessage: it is no CloudEvent 1.0, or lacks what the mode asks for.
    """
    attributes, data = _taken(source)
    known = _checked(dict(attributes), None)
    name = known.get_type()
    sender = {field: attributes.get(each) for each, field in SENDER.items()}
    missing = [each for each, field in SENDER.items() if not _is_text(sender[field])]
    if mode == "strict" and missing:
        raise InvalidMessage(
            f"CloudEvent {known.get_id()!r} lacks PURISTA's {', '.join(missing)}. Read one that "
            f"others have sent with mode='compat'."
        )
    external = {
        "serviceName": "external",
        "serviceVersion": "0",
        "serviceTarget": name,
        "instanceId": "external",
    }
    content_type = known.get_datacontenttype() or "application/json"
    return AnyEvent.from_wire(
        {
            "id": known.get_id(),
            "timestamp": _milliseconds(attributes.get("time")),
            "eventName": name,
            "contentType": content_type,
            "sender": {f: each if _is_text(each) else external[f] for f, each in sender.items()},
            "payload": _payload(data, content_type),
            "schedule": _schedule(attributes),
            **_fields(attributes, TRACE),
        }
    )


def is_json(content_type: str) -> bool:
    """Tell whether a media type is JSON's, or one that is written in JSON."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def _taken(source: BaseCloudEvent | Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return lower-case attributes, with a time that is parsed, and the data."""
    if not isinstance(source, Mapping):
        return {k.lower(): v for k, v in source.get_attributes().items()}, source.get_data()
    attributes = {name.lower(): value for name, value in source.items() if value is not None}
    data, encoded = attributes.pop("data", None), attributes.pop("data_base64", None)
    try:
        if isinstance(attributes.get("time"), str):
            attributes["time"] = datetime.fromisoformat(attributes["time"])
        return attributes, data if encoded is None else b64decode(encoded, validate=True)
    except (ValueError, TypeError) as error:
        raise InvalidMessage(f"Not a CloudEvent: {error}.") from error


def _payload(data: Any, content_type: str) -> Any:
    """Return what bytes say, where they are JSON or text."""
    if not isinstance(data, bytes | bytearray):
        return data
    try:
        return json.loads(data) if is_json(content_type) else data.decode()
    except UnicodeDecodeError:
        return bytes(data)
    except ValueError as error:
        raise InvalidMessage(f"CloudEvent: its data is no JSON: {error}.") from error


def _checked(attributes: dict[str, Any], data: Any) -> CloudEvent:
    """Return a CloudEvent of what the package finds right."""
    try:
        return CloudEvent(
            {name: value for name, value in attributes.items() if name != "schedule"}, data
        )
    except BaseCloudEventException as error:
        raise InvalidMessage(f"Not a CloudEvent 1.0: {error}.") from error


def _extensions(wire: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {each: wire[field] for each, field in names.items() if field in wire}


def _fields(attributes: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {field: attributes[each] for each, field in names.items() if each in attributes}


def _schedule(attributes: Mapping[str, Any]) -> Any:
    """Return the occurrence; a whole object too, as the envelope has it."""
    return attributes.get("schedule") or _fields(attributes, SCHEDULE) or None


def _time(event: AnyEvent) -> datetime:
    try:
        return _EPOCH + event.timestamp * _MILLISECOND
    except OverflowError as error:
        raise InvalidMessage(
            f"Event {event.id!r}: timestamp {event.timestamp} is no instant of a calendar."
        ) from error


def _milliseconds(time: Any) -> int:
    if not isinstance(time, datetime):
        return 0
    # To the nearest: bindings that carry a time as a fraction are off by some microseconds.
    return (time.astimezone(UTC) - _EPOCH + _MILLISECOND / 2) // _MILLISECOND


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
