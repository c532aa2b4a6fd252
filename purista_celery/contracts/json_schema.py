"""JSON Schema as data: walk it, inline its references, check it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs

JsonSchema = dict[str, Any]

#: The dialect that pydantic and zod write.
DIALECT = "https://json-schema.org/draft/2020-12/schema"

# Where a schema holds others. A walk over all dictionaries would mistake a property that is called
# "$ref", or an example, for a schema.
_ONE = (
    *("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not"),
    *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
)
_LISTED = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_NAMED = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")


def rewritten(schema: Any, change: Callable[[JsonSchema], JsonSchema]) -> Any:
    """Return ``schema`` with ``change`` applied to each schema in it, the innermost first."""
    if not isinstance(schema, Mapping):
        return schema  # true, false
    found = dict(schema)
    for key in _ONE:
        if isinstance(found.get(key), Mapping):
            found[key] = rewritten(found[key], change)
    for key in _LISTED:
        if isinstance(found.get(key), list):
            found[key] = [rewritten(member, change) for member in found[key]]
    for key in _NAMED:
        if isinstance(found.get(key), Mapping):
            found[key] = {name: rewritten(part, change) for name, part in found[key].items()}
    return change(found)


def apart(schema: JsonSchema) -> JsonSchema:
    """Move a reference out of the way of its siblings, which older drafts ignore."""
    if "$ref" not in schema or len(schema) == 1:
        return schema
    siblings = {key: value for key, value in schema.items() if key != "$ref"}
    return {"allOf": [{"$ref": schema["$ref"]}, *siblings.pop("allOf", [])], **siblings}


def inlined(schema: Any) -> Any:
    """Return ``schema`` with its references inlined, so that it can stand in another document.

    A recursive one keeps its references and definitions.

    Raises:
        ReferencingError: a reference leads nowhere, or out of the schema.
    """
    definitions = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    body = {key: value for key, value in schema.items() if key not in definitions}
    whole = {**rewritten(body, apart), **_definitions_apart(definitions)}
    found: JsonSchema = jsonschema_rs.dereference(whole, offline=True)
    bare = {key: value for key, value in found.items() if key not in definitions}
    return found if references(bare) else bare


def references(schema: Any) -> set[str]:
    """Return all that ``schema`` refers to."""
    found: set[str] = set()

    def note(part: JsonSchema) -> JsonSchema:
        if isinstance(part.get("$ref"), str):
            found.add(part["$ref"])
        return part

    rewritten(schema, note)
    return found


def _definitions_apart(definitions: Mapping[str, Any]) -> JsonSchema:
    return {
        key: {name: rewritten(part, apart) for name, part in parts.items()}
        for key, parts in definitions.items()
    }
