"""One alternative of a schema, as a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from purista_celery.exports.diff.pointers import Schema, canonical

KINDS = ("null", "boolean", "integer", "number", "string", "array", "object")


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of a number; infinite where there is none."""

    value: float
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """One alternative of a schema."""

    kind: str
    #: The only values, where they are enumerated.
    values: tuple[Any, ...] | None = None
    lower: Bound = Bound(-math.inf)
    upper: Bound = Bound(math.inf)
    #: Of a string, an array or an object.
    least: int = 0
    most: float = math.inf
    multiples: frozenset[float] = frozenset()
    patterns: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    prefix: tuple[Schema, ...] = ()
    items: Schema = True
    unique: bool = False
    properties: Mapping[str, Schema] = field(default_factory=dict)
    pattern_properties: Mapping[str, Schema] = field(default_factory=dict)
    #: Whether it names fields, be it none; a schema of any object does not.
    names_fields: bool = False
    required: frozenset[str] = frozenset()
    #: None where the schema does not say.
    additional: Schema | None = None
    names: Schema = True
    #: Keywords that are compared as text only.
    other: frozenset[tuple[str, str]] = frozenset()
    #: The reference that led here; names the variant of a union.
    name: str = ""


def item(shape: Shape, number: int) -> Schema:
    """Return the schema of an array's item."""
    return shape.prefix[number] if number < len(shape.prefix) else shape.items


def kind_of(value: Any) -> str:
    """Return the type of a JSON value; 1.0 is an integer."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if float(value).is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def of_value(value: Any) -> Shape:
    """Return the shape that only ``value``, an array or an object, has."""
    if isinstance(value, Mapping):
        properties = {name: {"const": each} for name, each in value.items()}
        return Shape(
            "object", properties=properties, required=frozenset(properties), additional=False
        )
    prefix = tuple({"const": each} for each in value)
    return Shape("array", prefix=prefix, items=False, least=len(prefix), most=len(prefix))


def tags(shape: Shape, *, optional: bool = False) -> dict[str, str]:
    """Return the fields of an object that can have one value only: what names a variant.

    Args:
        optional: those too that may be left out.
    """
    found = {}
    for name in shape.properties if optional else shape.required:
        node = shape.properties.get(name)
        if isinstance(node, Mapping):
            enum = node.get("enum", ())
            value = node.get("const", enum[0] if len(enum) == 1 else None)
            if value is not None:
                found[name] = canonical(value)
    return found
