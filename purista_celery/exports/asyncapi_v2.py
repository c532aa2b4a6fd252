"""Channels and operations as AsyncAPI 2.6.0 says them, for tools that do not read 3.0.0 yet.

There a channel's key is its address, it has one operation a direction, and the words say what
*others* do: who may ``publish`` is heard, who may ``subscribe`` is told.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from purista_celery.exports.asyncapi_parts import Frame, Parts, address_of, tags
from purista_celery.exports.broker_bindings import channel_bindings, operation_bindings
from purista_celery.exports.channels import Action, Channel, Message, Operation
from purista_celery.exports.document import given
from purista_celery.exports.kinds import Draft
from purista_celery.exports.servers import Server

_AMQP_BINDING = "0.2.0"
_VERB: dict[Action, str] = {"send": "subscribe", "receive": "publish"}


def document(draft: Draft, parts: Parts, frame: Frame) -> dict[str, Any]:
    """Return the document."""
    channels: dict[str, Any] = {}
    for channel in draft.channels.values():
        address, parameters = address_of(channel)
        # An event and a queue may share a name; only one can have it as its key.
        key = channel.id if address in channels else address
        channels[key] = _channel(channel, parameters if key == address else {}, draft, frame)
    return {
        **frame.head,
        "tags": list(frame.tags),
        "servers": {server.name: _server(server) for server in frame.servers},
        "channels": channels,
        "components": {
            "messages": _messages(draft, parts),
            "schemas": parts.components,
        },
    }


def _messages(draft: Draft, parts: Parts) -> dict[str, Any]:
    # One for each direction: the parser wants an id at each message, and no id twice.
    return {
        _id(message, operation.action): {
            "messageId": _id(message, operation.action),
            **parts.message(message, _AMQP_BINDING),
        }
        for operation in draft.operations.values()
        for message in draft.channels[operation.channel].messages.values()
    }


def _id(message: Message, action: Action) -> str:
    return f"{message.name}.{action}"


def _server(server: Server) -> dict[str, Any]:
    vhost = server.vhost or "/"
    path = "" if vhost == "/" else f"/{quote(vhost, safe='')}"
    return given(
        url=f"{server.protocol}://{server.host}{path}",
        protocol=server.protocol,
        description=server.description or None,
    )


def _channel(
    channel: Channel, parameters: dict[str, str], draft: Draft, frame: Frame
) -> dict[str, Any]:
    found = [o for o in draft.operations.values() if o.channel == channel.id]
    verbs = {}
    for action, verb in _VERB.items():
        if mine := [operation for operation in found if operation.action == action]:
            verbs[verb] = _operation(channel, action, mine)
    return given(
        description=channel.description,
        parameters={
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in parameters.items()
        }
        or None,
        bindings=channel_bindings(channel, frame.namespace, frame.vhost, _AMQP_BINDING),
        **verbs,
        **{"x-purista": channel.x_purista},
    )


def _operation(channel: Channel, action: Action, operations: list[Operation]) -> dict[str, Any]:
    messages = [
        {"$ref": f"#/components/messages/{_id(message, action)}"}
        for message in channel.messages.values()
    ]
    return {
        "operationId": f"{channel.id}.{action}",
        "description": "\n".join(dict.fromkeys(o.description for o in operations)),
        "message": messages[0] if len(messages) == 1 else {"oneOf": messages},
        "tags": tags([tag for operation in operations for tag in operation.tags]) or [],
        "bindings": operation_bindings(action, _AMQP_BINDING),
        # Each of them, as version 3 lists them.
        "x-purista": {
            "operations": {
                operation.id: {
                    **operation.x_purista,
                    **({"reply": operation.reply} if operation.reply else {}),
                }
                for operation in operations
            }
        },
    }
