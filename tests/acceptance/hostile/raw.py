"""Messages as an attacker with publish rights makes them: any bytes, headers and properties."""

from __future__ import annotations

import json
import time
import uuid
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import redis
from kombu import Connection, Producer

from tests.acceptance.spine.conftest import Spine
from tests.acceptance.spine.services import work


@dataclass
class Raw:
    """One message on the broker queue of ``spine.work``."""

    body: bytes
    headers: dict[str, Any]
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    properties: dict[str, Any] = field(default_factory=dict)
    #: Redis only: what is in the list instead of Kombu's JSON around all this; ``body`` is what a
    #: consumer makes of it.
    item: bytes | None = None


def headers_of_a_job(job_id: str | None = None, **other: Any) -> dict[str, Any]:
    identity = job_id or str(uuid.uuid4())
    return {"task": work.name, "id": identity, "lang": "py", "retries": 0, **other}


def job(headers: dict[str, Any], /, **fields: Any) -> dict[str, Any]:
    """Return a job's keyword arguments; ``fields`` replace or add some."""
    return {
        "id": headers["id"],
        "queueName": work.name,
        "payload": {"n": 1},
        "createdAt": time.time_ns() // 1_000_000,
        "maxAttempts": 1,
        **fields,
    }


def body_of(keywords: Any, arguments: Any = (), embedded: Any = None) -> bytes:
    return json.dumps([list(arguments), keywords, {} if embedded is None else embedded]).encode()


def publish(spine: Spine, *messages: Raw, queue: str = work.name, inbox: str = "") -> None:
    """Put messages into a job queue, or a subscription's inbox, below all that corrects them."""
    name = inbox or f"{spine.stage.namespace}.job.{queue}"
    if spine.stage.broker_url.startswith("redis"):
        _push(spine, messages, name)
        return
    # Not the app's pool: a message that breaks a channel must break nobody else's. With confirms:
    # a quorum queue can lose what a publisher sent just before it closed its connection.
    with (
        Connection(
            spine.stage.broker_url, transport_options={"confirm_publish": True}
        ) as connection,
        connection.channel() as channel,
    ):
        producer = Producer(channel)
        for message in messages:
            producer.publish(
                message.body,
                routing_key=name,
                headers=message.headers,
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                **message.properties,
            )


def _push(spine: Spine, messages: tuple[Raw, ...], name: str) -> None:
    with redis.Redis.from_url(spine.stage.broker_url) as client:
        for message in messages:
            # As Celery's producers do, through Kombu's virtual transport.
            item = {
                "body": b64encode(message.body).decode(),
                "content-encoding": message.content_encoding,
                "content-type": message.content_type,
                "headers": message.headers,
                "properties": {
                    "body_encoding": "base64",
                    "delivery_info": {"exchange": "", "routing_key": name},
                    "delivery_mode": 2,
                    "priority": 0,
                    "delivery_tag": str(uuid.uuid4()),
                    **message.properties,
                },
            }
            text = message.item if message.item is not None else json.dumps(item).encode()
            client.lpush(f"{spine.stage.namespace}:{name}", text)
