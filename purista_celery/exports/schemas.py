"""Contracts -> JSON Schema: what a sender must send, and what a receiver gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from purista_celery.contracts.event import Event
from purista_celery.contracts.json_schema import DIALECT, JsonSchema, apart, inlined, rewritten
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.service import Service
from purista_celery.errors import ExportError
from purista_celery.exports.document import ordered

#: ``validation`` is what is accepted, ``serialization`` what is sent; they differ for ``Decimal``.
Side = Literal["validation", "serialization"]

#: The form of ``$ref`` in a document of the API world.
COMPONENT = "#/components/schemas/{model}"


def json_schemas(services: Iterable[Service]) -> dict[str, Any]:
    """Return the schemas of all payloads by contract, each of which stands for itself.

    Returns:
        ``events`` by name; ``queues`` by name and ``commands`` by ``<service>.<version>.<name>``,
        each with ``payload``, ``parameter`` and ``output``. Payloads and parameters are as a
        producer has to send them, events and outputs as a consumer gets them.
    """
    found = list(services)
    events = {name: event for service in found for name, event in service.events.items()}
    queues = {name: queue for service in found for name, queue in service.queues.items()}
    commands = {
        f"{command.service_name}.{command.service_version}.{name}": command.queue
        for service in found
        for name, command in service.commands.items()
    }
    document = {
        "commands": {name: _parts(queue) for name, queue in commands.items()},
        "events": {name: _dated(event_schema(event)) for name, event in events.items()},
        "queues": {name: _parts(queue) for name, queue in queues.items()},
    }
    return dict(ordered(document))


def event_schema(event: Event[Any]) -> JsonSchema:
    """Return the schema of an event's payload, references inlined."""
    return alone(f"Event {event.name!r}", event.adapter, "serialization")


def queue_schemas(queue: Queue[Any, Any, Any]) -> dict[str, JsonSchema]:
    """Return the schemas of a queue's payload, parameter and output, references inlined."""
    where = f"Queue {queue.name!r}"
    return {
        "payload": alone(f"{where}: payload", queue.payload_adapter, "validation"),
        "parameter": alone(f"{where}: parameter", queue.parameter_adapter, "validation"),
        "output": alone(f"{where}: output", queue.output_adapter, "serialization"),
    }


def alone(contract: str, adapter: TypeAdapter[Any], side: Side) -> JsonSchema:
    """Return the schema of one type, references inlined.

    Raises:
        ExportError: the type has none; the message names ``contract``.
    """
    try:
        schema: JsonSchema = inlined(adapter.json_schema(mode=side))
    except PydanticUserError as error:
        raise ExportError(
            f"{contract} has no JSON Schema: {error.message}. Give the type one, for example with "
            f"pydantic's WithJsonSchema."
        ) from error
    return schema


def readable(schema: JsonSchema) -> JsonSchema:
    """Let PURISTA's exporters see that it is a JSON Schema; they look for one of these keys."""
    if schema.keys() & {"type", "$ref", "properties", "oneOf"}:
        return schema
    definitions = {key: schema[key] for key in ("$defs",) if key in schema}
    return {**definitions, "oneOf": [{k: v for k, v in schema.items() if k not in definitions}]}


@dataclass(frozen=True, slots=True)
class Components:
    """The schemas of one document: those with a name of their own, and what refers to them."""

    named: Mapping[str, JsonSchema] = field(default_factory=dict)
    #: By the key that :func:`components` was given.
    used: Mapping[str, JsonSchema] = field(default_factory=dict)


def components(
    types: Mapping[str, tuple[TypeAdapter[Any], Side]],
    said: Callable[[JsonSchema], JsonSchema],
) -> Components:
    """Return the schemas of ``types`` for one document.

    Two models of one name get longer names, by their modules.

    Args:
        types: by a key that an error would name.
        said: how the document's readers want one schema to be said, such as :func:`draft_7`.

    Raises:
        ExportError: a type has no JSON Schema.
    """
    inputs: list[tuple[str, Side, TypeAdapter[Any]]] = [
        (key, side, adapter) for key, (adapter, side) in sorted(types.items())
    ]
    for key, side, adapter in inputs:
        alone(key, adapter, side)  # tells which one has none
    used, document = TypeAdapter.json_schemas(inputs, ref_template=COMPONENT)
    definitions = {
        name: rewritten(schema, said) for name, schema in document.get("$defs", {}).items()
    }
    by_key = {str(key): rewritten(schema, said) for (key, _), schema in used.items()}
    return Components(named=definitions, used=by_key)


def draft_7(schema: JsonSchema) -> JsonSchema:
    """Say one schema of draft 2020-12 in the words of draft 7, as AsyncAPI reads it."""
    found = apart(schema)
    if "prefixItems" in found:
        rest = found.pop("items", None)
        found["items"] = found.pop("prefixItems")
        found |= {} if rest is None else {"additionalItems": rest}
    if isinstance(found.get("discriminator"), dict):
        # OpenAPI's form; what AsyncAPI calls so is a text. The members' constants say the same.
        del found["discriminator"]
    return found


def _parts(queue: Queue[Any, Any, Any]) -> dict[str, JsonSchema]:
    return {part: _dated(schema) for part, schema in queue_schemas(queue).items()}


def _dated(schema: JsonSchema) -> JsonSchema:
    return {"$schema": DIALECT, **schema}
