"""The JSON Schema of events as CloudEvents: PURISTA's ``exportCloudEventsSchema`` for ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from purista_celery.contracts.service import Service

_TEXT = {"type": "string"}
_INSTANT = {"type": "string", "format": "date-time"}
#: Extensions that say who sent an event and what it belongs to.
_EXTENSIONS = (
    *("servicename", "serviceversion", "servicetarget", "instanceid"),
    *("traceid", "correlationid", "tenantid", "principalid", "contentencoding", "otp"),
)


def cloudevents_schema(services: Iterable[Service] = ()) -> dict[str, Any]:
    """Return the schema of a structured CloudEvent, as :mod:`messages.cloudevents` writes it.

    Args:
        services: the data of their events is described too, by the event's type.
    """
    events = {name: event for service in services for name, event in service.events.items()}
    schemas, definitions = TypeAdapter.json_schemas(
        [(name, "serialization", event.adapter) for name, event in sorted(events.items())]
    )
    by_type = [
        {
            "if": {"properties": {"type": {"const": name}}},
            "then": {"properties": {"data": schema}},
        }
        for (name, _), schema in sorted(schemas.items(), key=lambda item: str(item[0][0]))
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PURISTA CloudEvents Mapping",
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "data": True,
            "datacontenttype": _TEXT,
            **dict.fromkeys(_EXTENSIONS, _TEXT),
            "id": {"type": "string", "minLength": 1},
            "scheduleattempt": {"type": "integer", "minimum": 1},
            "scheduledat": _INSTANT,
            "schedulefiredat": _INSTANT,
            "schedulekey": _TEXT,
            "schedulename": _TEXT,
            "scheduleoccurrenceid": _TEXT,
            "source": {"type": "string", "format": "uri-reference", "minLength": 1},
            "specversion": {"const": "1.0"},
            "time": _INSTANT,
            "type": {"type": "string", "minLength": 1},
        },
        **({"allOf": by_type} if by_type else {}),
        **({"$defs": definitions["$defs"]} if "$defs" in definitions else {}),
    }
