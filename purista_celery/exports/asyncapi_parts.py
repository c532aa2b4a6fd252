"""What both versions of AsyncAPI have in common: messages, schemas, tags, parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from purista_celery.contracts.json_schema import JsonSchema
from purista_celery.exports.broker_bindings import message_bindings
from purista_celery.exports.channels import Channel, Message
from purista_celery.exports.contacts import more
from purista_celery.exports.document import given
from purista_celery.exports.examples import NoExample, example
from purista_celery.exports.kinds import Draft
from purista_celery.exports.schemas import Components, components, draft_7
from purista_celery.exports.servers import Server

_TEXT = {"type": "string"}

#: PURISTA's; the headers of each message.
PURISTA_HEADERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "traceId": _TEXT,
        "correlationId": _TEXT,
        "tenantId": _TEXT,
        "principalId": _TEXT,
        "messageId": _TEXT,
        "timestamp": {"type": "number"},
        "contentType": _TEXT,
        "contentEncoding": _TEXT,
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What a document says around its channels."""

    head: Mapping[str, Any]
    tags: Sequence[Mapping[str, str]]
    servers: Sequence[Server]
    namespace: str

    @property
    def vhost(self) -> str:
        """The virtual host that RabbitMQ's bindings name."""
        return next((server.vhost for server in self.servers if server.vhost), "/")


@dataclass(frozen=True, slots=True)
class Parts:
    """The schemas of all messages."""

    schemas: Components = field(default_factory=Components)

    @classmethod
    def of(cls, draft: Draft) -> Parts:
        """Return the parts of all messages in ``draft``."""
        types = {}
        for message in draft.messages:
            types[message.name] = (message.payload, message.side)
            for key, other in message.others.items():
                types[f"{message.name}.{key}"] = other
        return cls(components(types, draft_7))

    @property
    def components(self) -> dict[str, Any]:
        """The document's ``components.schemas``."""
        return {**self.schemas.named, "PuristaHeaders": PURISTA_HEADERS}

    def message(self, message: Message, binding_version: str) -> dict[str, Any]:
        """Return the AsyncAPI object of a message."""
        payload = self.schemas.used[message.name]
        extension = {**message.x_purista, **self._others(message)}
        return given(
            name=message.name,
            title=message.title,
            description=message.description or None,
            contentType="application/json",
            headers={"$ref": "#/components/schemas/PuristaHeaders"},
            payload=payload,
            examples=self._examples(payload),
            tags=tags(message.tags),
            externalDocs=more(message.links),
            bindings=message_bindings(binding_version),
            **({"x-purista": extension} if extension else {}),
        )

    def _others(self, message: Message) -> dict[str, JsonSchema]:
        return {
            f"{key}Schema": self.schemas.used[f"{message.name}.{key}"] for key in message.others
        }

    def _examples(self, payload: JsonSchema) -> list[dict[str, Any]] | None:
        try:
            return [{"name": "example", "payload": example(payload, self.schemas.named)}]
        except NoExample:
            return None


def tags(names: Sequence[str]) -> list[dict[str, str]] | None:
    """Return the AsyncAPI objects of tags, each once."""
    return [{"name": name} for name in dict.fromkeys(names)] or None


def address_of(channel: Channel) -> tuple[str, dict[str, str]]:
    """Return a channel's address, with a parameter for each wildcard of a topic pattern.

    Returns:
        The address, and the parameters' descriptions by name.
    """
    found: dict[str, str] = {}

    def parameter(wildcard: re.Match[str]) -> str:
        many = wildcard[0] == "#"
        name = f"{'words' if many else 'word'}{len(found) + 1}"
        found[name] = "Any number of words, joined by dots" if many else "One word"
        return f"{{{name}}}"

    return re.sub(r"[*#]", parameter, channel.address), found
