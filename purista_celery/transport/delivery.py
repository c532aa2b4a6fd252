"""From the bytes in a queue to what Kombu hands to a consumer."""

from __future__ import annotations

import binascii
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from kombu.utils.json import loads

from purista_celery.transport.bounds import Bounds

#: What reading a foreign item can raise; Kombu's JSON revives dates, decimals and UUIDs.
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)

#: What may be around a body, which is one text of any length in it.
_AROUND = Bounds(size=2**62, depth=100, parts=50_000)


@dataclass(frozen=True)
class Delivery:
    """One claimed message."""

    queue: str
    tag: str
    payload: dict[str, Any]


def read(queue: str, tag: str, raw: bytes) -> Delivery:
    """Return the delivery of `raw`; anything that is not a Kombu message becomes an opaque one."""
    payload = _message_in(raw)
    if payload is None:
        return opaque(queue, tag, raw)
    properties = payload["properties"]
    properties["delivery_tag"] = tag
    properties["delivery_info"] = _delivery_info(properties.get("delivery_info") or {}, queue)
    _tell_redelivery(payload)
    return Delivery(queue=queue, tag=tag, payload=payload)


def is_message(raw: bytes) -> bool:
    """Tell whether Kombu can make a message of ``raw``."""
    return _message_in(raw) is not None


def _message_in(raw: bytes) -> dict[str, Any] | None:
    if _AROUND.excess(raw) is not None:
        return None
    try:
        payload = loads(raw.decode())
    except UNREADABLE:
        return None
    return payload if _has_message_shape(payload) else None


def opaque(queue: str, tag: str, raw: bytes) -> Delivery:
    """Return a delivery whose body is the raw bytes, for the consumer to reject or to park."""
    return Delivery(
        queue=queue,
        tag=tag,
        payload={
            "body": b64encode(raw).decode(),
            "content-type": "application/octet-stream",
            "content-encoding": "binary",
            "headers": {},
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": tag,
                "delivery_info": {"exchange": "", "routing_key": queue, "queue": queue},
            },
        },
    )


def _delivery_info(said: dict[str, Any], queue: str) -> dict[str, Any]:
    info: dict[str, Any] = {
        name: said[name] for name in ("exchange", "routing_key") if isinstance(said.get(name), str)
    }
    # Where it came from, whatever the message itself says.
    return {**info, "queue": queue}


def _tell_redelivery(payload: dict[str, Any]) -> None:
    deliveries = payload.pop("deliveries", None)
    if not isinstance(deliveries, int):
        return
    # RabbitMQ's quorum queues use the same header.
    payload["headers"] = {
        **(payload.get("headers") or {}),
        "redelivered": True,
        "x-delivery-count": deliveries,
    }
    info = payload["properties"].get("delivery_info")
    payload["properties"]["delivery_info"] = {**(info or {}), "redelivered": True}


def _has_message_shape(payload: object) -> bool:
    if not isinstance(payload, dict) or not isinstance(payload.get("properties"), dict):
        return False
    properties = payload["properties"]
    return (
        isinstance(payload.get("headers"), dict | None)
        and isinstance(properties.get("delivery_info"), dict | None)
        and isinstance(payload.get("content-type"), str | None)
        and isinstance(payload.get("content-encoding"), str | None)
        and _has_readable_body(payload.get("body"), properties.get("body_encoding"))
    )


def _has_readable_body(body: object, encoding: object) -> bool:
    if not body:
        return True
    if not isinstance(body, str) or not isinstance(encoding, str | None):
        return False
    if encoding == "base64":
        try:
            binascii.a2b_base64(body)
        except ValueError:
            return False
        return True
    return not encoding or encoding.lower() == "utf-8"
