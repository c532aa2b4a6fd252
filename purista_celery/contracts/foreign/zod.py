"""A zod validator that was written as JSON -> the JSON Schema of what is left of it.

PURISTA's definitions hold a queue's validators as they are. ``JSON.stringify`` keeps zod 4's tree
of types, newer versions the bounds of numbers and texts too, and loses its other checks (such as
patterns), so the schema accepts more than TypeScript does, and never less. What has no form in JSON
Schema is anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from purista_celery.contracts.json_schema import JsonSchema

_PLAIN: dict[str, JsonSchema] = {
    "boolean": {"type": "boolean"},
    "date": {"type": "string"},
    "null": {"type": "null"},
    "template_literal": {"type": "string"},
    "undefined": {"type": "null"},
    "void": {"type": "null"},
}
#: Those of which zod accepts no more than JSON Schema does.
_FORMATS = {"date", "email", "ipv4", "ipv6", "uuid"}
#: zod's names of bounds, inclusive or not, and JSON Schema's of the inclusive ones.
_BOUNDS = {
    "number": {"minValue": "minimum", "maxValue": "maximum"},
    "string": {"minLength": "minLength", "maxLength": "maxLength"},
}
_LARGEST = 2**53 - 1
#: May be absent from the object that holds them.
_OPTIONAL = ("default", "optional", "prefault")
_WRAPPERS = (*_OPTIONAL, "catch", "nonoptional", "readonly")


def is_zod(schema: Any) -> bool:
    """Tell whether ``schema`` is a zod validator, and no JSON Schema."""
    return (
        isinstance(schema, Mapping)
        and isinstance(schema.get("def"), Mapping)
        and isinstance(schema["def"].get("type"), str)
    )


def json_schema(zod: Any) -> JsonSchema:
    """Return the JSON Schema of a zod validator's tree."""
    if not is_zod(zod):
        return {}
    tree = zod["def"]
    kind = tree["type"]
    if kind in _WRAPPERS:
        return json_schema(tree.get("innerType"))
    if kind in _READERS:
        return _READERS[kind](tree)
    bounds = _BOUNDS.get(kind, {})
    told = {bound: zod.get(name) for name, bound in bounds.items()}
    known = {bound: value for bound, value in told.items() if _is_bound(value)}
    return {**_SCALARS.get(kind, _anything)(zod), **known}


def _array(tree: Mapping[str, Any]) -> JsonSchema:
    return {"type": "array", "items": json_schema(tree.get("element"))}


def _enum(tree: Mapping[str, Any]) -> JsonSchema:
    return {"enum": list(tree.get("entries", {}).values())}


def _literal(tree: Mapping[str, Any]) -> JsonSchema:
    return {"enum": list(tree.get("values", []))}


def _nullable(tree: Mapping[str, Any]) -> JsonSchema:
    return {"anyOf": [json_schema(tree.get("innerType")), {"type": "null"}]}


def _number(zod: Mapping[str, Any]) -> JsonSchema:
    tree = zod["def"]
    checks = [check.get("def", {}) for check in tree.get("checks", []) if isinstance(check, dict)]
    formats = {tree.get("format"), *(check.get("format") for check in checks)}
    whole = zod.get("isInt") is True or formats & {"safeint", "int32", "uint32"}
    return {"type": "integer" if whole else "number"}


def _object(tree: Mapping[str, Any]) -> JsonSchema:
    shape = tree.get("shape", {})
    required = [name for name, part in shape.items() if not _may_be_absent(part)]
    found: JsonSchema = {
        "type": "object",
        "properties": {name: json_schema(part) for name, part in shape.items()},
        "required": required,
    }
    if is_zod(catchall := tree.get("catchall", {})):
        never = catchall["def"]["type"] == "never"
        found["additionalProperties"] = False if never else json_schema(catchall)
    return found


def _record(tree: Mapping[str, Any]) -> JsonSchema:
    return {"type": "object", "additionalProperties": json_schema(tree.get("valueType"))}


def _string(zod: Mapping[str, Any]) -> JsonSchema:
    form = zod["def"].get("format") or zod.get("format")
    return {"type": "string", **({"format": form} if form in _FORMATS else {})}


def _tuple(tree: Mapping[str, Any]) -> JsonSchema:
    items = [json_schema(item) for item in tree.get("items", [])]
    found: JsonSchema = {"type": "array", "prefixItems": items, "minItems": len(items)}
    rest = tree.get("rest")
    return {**found, "items": json_schema(rest) if is_zod(rest) else False}


_READERS: dict[str, Callable[[Mapping[str, Any]], JsonSchema]] = {
    "array": _array,
    "enum": _enum,
    "intersection": lambda tree: {"allOf": [json_schema(tree.get(k)) for k in ("left", "right")]},
    "literal": _literal,
    "nullable": _nullable,
    "object": _object,
    # What is sent is what the first of the two accepts.
    "pipe": lambda tree: json_schema(tree.get("in")),
    "record": _record,
    "tuple": _tuple,
    "union": lambda tree: {"anyOf": [json_schema(part) for part in tree.get("options", [])]},
}


def _may_be_absent(zod: Any) -> bool:
    if not is_zod(zod):
        return True
    tree = zod["def"]
    if tree["type"] in ("readonly", "catch"):
        return _may_be_absent(tree.get("innerType"))
    return tree["type"] in (*_OPTIONAL, "any", "undefined", "unknown", "void")


def _anything(zod: Mapping[str, Any]) -> JsonSchema:
    return dict(_PLAIN.get(zod["def"]["type"], {}))


def _is_bound(value: Any) -> bool:
    # An integer's own bounds are those of JavaScript's, and say nothing.
    return isinstance(value, int | float) and abs(value) < _LARGEST


_SCALARS: dict[str, Callable[[Mapping[str, Any]], JsonSchema]] = {
    "number": _number,
    "string": _string,
}
