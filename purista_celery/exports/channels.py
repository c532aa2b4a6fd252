"""Channels and their messages, before any version of AsyncAPI.

Ids, addresses and ``x-purista`` are those of PURISTA's ``exportAsyncApi``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import TypeAdapter

from purista_celery.contracts import names
from purista_celery.contracts.command import Command
from purista_celery.contracts.event import Event
from purista_celery.contracts.governance import Link
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.types import adapter_of
from purista_celery.exports.contacts import governance
from purista_celery.exports.document import given
from purista_celery.exports.policies import result_policy
from purista_celery.exports.schemas import Side

Action = Literal["send", "receive"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What a channel carries."""

    name: str
    title: str
    payload: TypeAdapter[Any]
    side: Side
    description: str = ""
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    x_purista: Mapping[str, Any] = field(default_factory=dict)
    #: Further schemas that ``x-purista`` refers to, by the key that it has there.
    others: Mapping[str, tuple[TypeAdapter[Any], Side]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """Where messages travel."""

    id: str
    address: str
    #: The queue whose jobs travel here; an event travels through the topic exchange.
    queue: str | None = None
    description: str
    #: By the name that the channel gives them.
    messages: Mapping[str, Message]
    x_purista: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """What a service does at a channel."""

    id: str
    action: Action
    channel: str
    description: str
    #: The channel that what was received is handed on to.
    reply: str | None = None
    tags: tuple[str, ...] = ()
    x_purista: Mapping[str, Any] = field(default_factory=dict)


def channel_id(*parts: str) -> str:
    """Return PURISTA's channel id: what is no letter, digit, dot, dash or underscore is ``_``."""
    return re.sub(r"_{2,}", "_", re.sub(r"[^a-zA-Z0-9._-]", "_", ".".join(parts)))


def event_channel(channel: str, name: str, event: Event[Any] | None) -> Channel:
    """Return the channel of an event or a topic pattern, None where no service declares it."""
    pattern = names.is_pattern(name)
    message = Message(
        name=f"{channel}.message",
        title=f"{name} event",
        payload=adapter_of(Any) if event is None else event.adapter,
        side="serialization",
        description="" if event is None else event.description,
        tags=() if event is None else event.tags,
        links=() if event is None else event.links,
        x_purista={} if event is None else _producer(event),
    )
    described = f"The events whose names match {name}." if pattern else f"The event {name}."
    return Channel(
        id=channel,
        address=name,
        description=message.description or described,
        messages={"event": message},
        x_purista={"eventName": name, "kind": "event"},
    )


def _producer(event: Event[Any]) -> dict[str, Any]:
    by = {"serviceName": event.service_name, "serviceVersion": event.service_version}
    return {"producedBy": by, **governance(event)}


def queue_channel(channel: str, queue: Queue[Any, Any, Any]) -> Channel:
    """Return the channel of a queue's jobs."""
    message = _job(queue, f"{channel}.job", f"{queue.name} queue job")
    return Channel(
        id=channel,
        address=queue.name,
        queue=queue.name,
        description=queue.description or f"The jobs of {queue.name}.",
        messages={"job": message},
        x_purista=given(
            kind="queue",
            queueName=queue.name,
            resultPolicy=result_policy(queue),
            serviceName=queue.service_name,
            serviceVersion=queue.service_version,
        ),
    )


def command_channel(channel: str, command: Command[Any, Any, Any]) -> Channel:
    """Return the channel of a command's requests; an answer is its invocation's own."""
    name, version = command.service_name, command.service_version
    request = replace(
        _job(command.queue, f"{channel}.message", f"{command.name} command request"),
        tags=command.tags,
        links=command.links,
        x_purista=governance(command),
    )
    return Channel(
        id=channel,
        address=f"purista/{name}/{version}/commands/{command.name}",
        queue=command.queue.name,
        description=command.description or f"Requests of {command.name}.",
        messages={"request": request},
        x_purista={
            "serviceName": name,
            "serviceVersion": version,
            "commandName": command.name,
            "kind": "command",
        },
    )


def _job(queue: Queue[Any, Any, Any], name: str, title: str) -> Message:
    return Message(
        name=name,
        title=title,
        payload=queue.payload_adapter,
        side="validation",
        description=queue.description,
        tags=queue.tags,
        links=queue.links,
        x_purista=governance(queue),
        others=given(
            parameter=_unless_none(queue.parameter, queue.parameter_adapter, "validation"),
            output=_unless_none(queue.output, queue.output_adapter, "serialization"),
        ),
    )


def _unless_none(
    kind: Any, adapter: TypeAdapter[Any], side: Side
) -> tuple[TypeAdapter[Any], Side] | None:
    return None if kind in (None, type(None)) else (adapter, side)
