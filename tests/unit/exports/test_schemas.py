"""JSON Schemas by contract."""

from __future__ import annotations

import jsonschema_rs
import pytest
from pydantic import InstanceOf

from purista_celery import Service, exports
from purista_celery.contracts.json_schema import references, rewritten
from purista_celery.errors import ExportError
from tests.unit.exports import shapes


def test_each_schema_is_valid_and_stands_for_itself() -> None:
    """In draft 2020-12; only a recursive one refers to anything, and that to itself."""
    found = exports.json_schemas(shapes.services())
    queues = {f"shop.queue.{name}" for name in shapes.PAYLOADS}
    assert found["queues"].keys() == queues | {"same", "books.twice"}
    assert found["commands"].keys() == {"shop.2.1.price", "shop.2.1.silent"}
    schemas = dict(found["events"])
    for name, parts in {**found["queues"], **found["commands"]}.items():
        assert parts.keys() == {"payload", "parameter", "output"}
        schemas |= {f"{name}.{part}": schema for part, schema in parts.items()}
    for name, schema in schemas.items():
        jsonschema_rs.meta.validate(schema)
        assert schema["$schema"].endswith("2020-12/schema")
        assert not references(schema) or "recursive" in name
        jsonschema_rs.validator_for(schema)


def test_each_side_of_a_contract_has_its_own_schema() -> None:
    """A producer may send a number for a Decimal; a consumer gets a text."""
    found = exports.json_schemas(shapes.services())["queues"]["shop.queue.decimal"]
    accepted = {branch["type"] for branch in found["payload"]["anyOf"]}
    assert accepted == {"number", "string"}
    assert found["output"]["type"] == "string"


def test_a_property_called_like_a_keyword_is_no_keyword() -> None:
    """A walk over a schema changes schemas only."""
    schema = {
        "properties": {"items": {"type": "string"}, "$defs": {"const": {"items": 1}}},
        "examples": [{"items": {"type": "string"}}],
    }
    assert rewritten(schema, lambda part: {**part, "seen": True}) == {
        "properties": {
            "items": {"type": "string", "seen": True},
            "$defs": {"const": {"items": 1}, "seen": True},
        },
        "examples": [{"items": {"type": "string"}}],
        "seen": True,
    }


def test_services_without_contracts_have_no_schemas() -> None:
    """And no error."""
    assert exports.json_schemas([Service("idle")]) == {
        "commands": {},
        "events": {},
        "queues": {},
    }


class Handle:
    """A type that pydantic validates, and of which it knows no JSON Schema."""


def test_a_type_without_a_schema_is_named() -> None:
    """In every document, by its contract."""
    service = Service("odd")
    service.queue("odd.handles", payload=InstanceOf[Handle])
    for export in (exports.json_schemas, exports.definitions, exports.asyncapi):
        with pytest.raises(ExportError, match=r"odd\.handles.*no JSON Schema.*WithJsonSchema"):
            export([service])
