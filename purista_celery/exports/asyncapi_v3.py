"""Channels and operations as AsyncAPI 3.0.0 says them."""

from __future__ import annotations

from typing import Any

from purista_celery.exports.asyncapi_parts import Frame, Parts, address_of, tags
from purista_celery.exports.broker_bindings import channel_bindings, operation_bindings
from purista_celery.exports.channels import Channel, Operation
from purista_celery.exports.document import given
from purista_celery.exports.kinds import Draft
from purista_celery.exports.servers import Server

_AMQP_BINDING = "0.3.0"


def document(draft: Draft, parts: Parts, frame: Frame) -> dict[str, Any]:
    """Return the document."""
    head = dict(frame.head)
    return {
        **head,
        "info": {**head["info"], "tags": list(frame.tags)},
        "servers": {server.name: _server(server) for server in frame.servers},
        "channels": {found.id: _channel(found, frame) for found in draft.channels.values()},
        "operations": {
            found.id: _operation(found, draft.channels[found.channel])
            for found in draft.operations.values()
        },
        "components": {
            "messages": {
                message.name: parts.message(message, _AMQP_BINDING) for message in draft.messages
            },
            "schemas": parts.components,
        },
    }


def _server(server: Server) -> dict[str, Any]:
    return given(
        host=server.host,
        protocol=server.protocol,
        pathname=f"/{server.vhost.lstrip('/')}" if server.vhost else None,
        description=server.description or None,
    )


def _channel(channel: Channel, frame: Frame) -> dict[str, Any]:
    address, parameters = address_of(channel)
    return given(
        address=address,
        description=channel.description,
        messages={
            key: {"$ref": f"#/components/messages/{message.name}"}
            for key, message in channel.messages.items()
        },
        parameters={name: {"description": text} for name, text in parameters.items()} or None,
        bindings=channel_bindings(channel, frame.namespace, frame.vhost, _AMQP_BINDING),
        **{"x-purista": channel.x_purista},
    )


def _operation(operation: Operation, channel: Channel) -> dict[str, Any]:
    return given(
        action=operation.action,
        channel={"$ref": f"#/channels/{channel.id}"},
        # Not the components: a message must be one of the operation's own channel.
        messages=[{"$ref": f"#/channels/{channel.id}/messages/{key}"} for key in channel.messages],
        description=operation.description,
        reply={"channel": {"$ref": f"#/channels/{operation.reply}"}} if operation.reply else None,
        tags=tags(operation.tags),
        bindings=operation_bindings(operation.action, _AMQP_BINDING),
        **({"x-purista": operation.x_purista} if operation.x_purista else {}),
    )
