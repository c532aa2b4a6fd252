"""A schema's own keywords as shapes, without those that combine schemas."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from purista_celery.exports.diff.pointers import Document, canonical, is_annotation
from purista_celery.exports.diff.shapes import KINDS, Bound, Shape, kind_of

#: Which keywords speak of which type; all others are of any.
_SPEAKS_OF = {
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
    "minLength": "string",
    "maxLength": "string",
    "pattern": "string",
    "format": "string",
    "contentEncoding": "string",
    "contentMediaType": "string",
    "contentSchema": "string",
    "prefixItems": "array",
    "items": "array",
    "additionalItems": "array",
    "minItems": "array",
    "maxItems": "array",
    "uniqueItems": "array",
    "contains": "array",
    "minContains": "array",
    "maxContains": "array",
    "unevaluatedItems": "array",
    "properties": "object",
    "patternProperties": "object",
    "additionalProperties": "object",
    "propertyNames": "object",
    "required": "object",
    "minProperties": "object",
    "maxProperties": "object",
    "dependentRequired": "object",
    "dependentSchemas": "object",
    "unevaluatedProperties": "object",
}

#: Taken apart here; never kept as text.
_STRUCTURE = frozenset({"$ref", "allOf", "anyOf", "oneOf", "type", "enum", "const", "nullable"})

#: Keywords of which :func:`constrained` has made a field.
_UNDERSTOOD = frozenset(_SPEAKS_OF) - {
    *("contentEncoding", "contentMediaType", "contentSchema"),
    *("contains", "minContains", "maxContains", "unevaluatedItems"),
    *("dependentRequired", "dependentSchemas", "unevaluatedProperties"),
}

UPPER, LOWER = "upper", "lower"


def own(schema: Mapping[str, Any], document: Document) -> list[Shape]:
    """Return the alternatives of a schema's own keywords, without those that combine schemas."""
    kinds = _kinds(schema)
    if "const" in schema or "enum" in schema:
        values = [schema["const"]] if "const" in schema else list(schema["enum"])
        if "const" in schema and "enum" in schema:
            texts = {canonical(each) for each in schema["enum"]}
            values = [each for each in values if canonical(each) in texts]
        grouped: dict[str, list[Any]] = {}
        for value in values:
            grouped.setdefault(kind_of(value), []).append(value)
        return [
            replace(constrained(kind, schema, document), values=tuple(group))
            for kind, group in grouped.items()
            if kind in kinds or (kind == "integer" and "number" in kinds)
        ]
    return [constrained(kind, schema, document) for kind in kinds]


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    named = schema.get("type")
    listed = [named] if isinstance(named, str) else named
    if listed is None:
        kinds = [kind for kind in KINDS if kind != "integer"]
    elif isinstance(listed, list) and {*KINDS}.issuperset(listed):
        kinds = [kind for kind in listed if kind != "integer" or "number" not in listed]
    else:
        raise ValueError(f"type {named!r}, expected one of {', '.join(KINDS)} or a list of them")
    if schema.get("nullable") is True and "null" not in kinds:
        kinds = [*kinds, "null"]
    return kinds


def constrained(kind: str, schema: Mapping[str, Any], document: Document) -> Shape:
    """Return what the keywords that speak of ``kind`` let through."""
    number, text = kind in ("integer", "number"), kind == "string"
    tuple_form = isinstance(schema.get("items"), list)
    prefix = schema["items"] if tuple_form else schema.get("prefixItems", ())
    items = schema.get("additionalItems", True) if tuple_form else schema.get("items", True)
    shape = Shape(kind, values=all_values(kind))
    if number:
        shape = replace(
            shape,
            lower=_bound(schema, LOWER, integer=kind == "integer"),
            upper=_bound(schema, UPPER, integer=kind == "integer"),
            multiples=frozenset([schema["multipleOf"]] if "multipleOf" in schema else []),
            # Of numbers, a format is a width: int32, double.
            formats=frozenset([schema["format"]] if "format" in schema else []),
        )
    elif text:
        shape = replace(
            shape,
            least=schema.get("minLength", 0),
            most=schema.get("maxLength", math.inf),
            patterns=frozenset([schema["pattern"]] if "pattern" in schema else []),
            formats=frozenset([schema["format"]] if "format" in schema else []),
        )
    elif kind == "array":
        shape = replace(
            shape,
            least=schema.get("minItems", 0),
            most=schema.get("maxItems", math.inf),
            prefix=tuple(prefix),
            items=items,
            unique=bool(schema.get("uniqueItems")),
        )
    elif kind == "object":
        shape = replace(
            shape,
            least=schema.get("minProperties", 0),
            most=schema.get("maxProperties", math.inf),
            properties=schema.get("properties", {}),
            pattern_properties=schema.get("patternProperties", {}),
            names_fields=bool(schema.keys() & {"properties", "patternProperties"}),
            required=frozenset(schema.get("required", ())),
            additional=schema.get("additionalProperties"),
            names=schema.get("propertyNames", True),
        )
    return replace(shape, other=_other(kind, schema, document))


def _other(kind: str, schema: Mapping[str, Any], document: Document) -> frozenset[tuple[str, str]]:
    family = "number" if kind == "integer" else kind
    return frozenset(
        (key, document.text({key: value}))
        for key, value in schema.items()
        if key not in _STRUCTURE | _UNDERSTOOD | {"default"}
        and not is_annotation(key)
        and _SPEAKS_OF.get(key, family) == family
    )


def all_values(kind: str) -> tuple[Any, ...] | None:
    """Return all values of a type that has so few; None of any other."""
    return {"null": (None,), "boolean": (False, True)}.get(kind)


def _bound(schema: Mapping[str, Any], end: str, *, integer: bool) -> Bound:
    plain, exclusive, none, tighter = (
        ("minimum", "exclusiveMinimum", -math.inf, max)
        if end == LOWER
        else ("maximum", "exclusiveMaximum", math.inf, min)
    )
    inclusive_value = schema.get(plain, none)
    exclusive_value = schema.get(exclusive, none)
    if isinstance(exclusive_value, bool):
        # JSON Schema draft 4 said so of the other keyword.
        exclusive_value, inclusive_value = (
            (inclusive_value, none) if exclusive_value else (none, inclusive_value)
        )
    if integer:
        return Bound(tighter(*whole(end, inclusive_value, exclusive_value)))
    if tighter(exclusive_value, inclusive_value) == exclusive_value != none:
        return Bound(exclusive_value, exclusive=True)
    return Bound(inclusive_value)


def whole(end: str, inclusive: float, exclusive: float) -> tuple[float, float]:
    """Return both bounds as the outermost integers that they let in."""
    if end == LOWER:
        return (
            inclusive if math.isinf(inclusive) else math.ceil(inclusive),
            exclusive if math.isinf(exclusive) else math.floor(exclusive) + 1,
        )
    return (
        inclusive if math.isinf(inclusive) else math.floor(inclusive),
        exclusive if math.isinf(exclusive) else math.ceil(exclusive) - 1,
    )
