"""Example values of a schema: those that its author gave, or the smallest that it accepts."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs
import rstr

from purista_celery.contracts.json_schema import JsonSchema

#: How deep a value may nest before it is taken for endless.
_DEEPEST = 20

_FORMATS = {
    "binary": "",
    "byte": "",
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "12:00:00Z",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4network": "192.0.2.0/24",
    "ipv6network": "2001:db8::/32",
}
#: Tried before a text is made up, because they read better.
_TEXTS = ("text", "0", "2026-01", "2026-01-31", "a", "A", "A1", "EUR", "1.0.0", "example")


class NoExample(Exception):
    """No value was found that the schema accepts."""


def example(schema: JsonSchema, named: Mapping[str, JsonSchema]) -> Any:
    """Return a value that ``schema`` accepts; the first valid one of its own examples, if any.

    Args:
        named: the schemas that ``#/components/schemas/…`` means.

    Raises:
        NoExample: none was found, for example because a pattern contradicts a length.
    """
    whole = {**schema, "components": {"schemas": dict(named)}}
    validator = jsonschema_rs.Draft7Validator(whole, validate_formats=True)
    for value in _candidates(schema, named):
        if validator.is_valid(value):
            return value
    raise NoExample


def _candidates(schema: JsonSchema, named: Mapping[str, JsonSchema]) -> Iterator[Any]:
    yield from _own(schema, named)
    maker = _Maker(named)
    try:
        yield maker.make(schema)
    except NoExample:
        return


def _own(schema: JsonSchema, named: Mapping[str, JsonSchema]) -> Iterator[Any]:
    seen: set[str] = set()
    while isinstance(schema, Mapping):
        yield from schema.get("examples", [])
        reference = schema.get("$ref")
        if reference is None or reference in seen:
            return
        seen.add(reference)
        schema = named[_name(reference)]


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


class _Maker:
    """Makes the smallest value: required properties, shortest texts and arrays."""

    def __init__(self, named: Mapping[str, JsonSchema]) -> None:
        self._named = named
        self._depth = 0

    def make(self, schema: Any) -> Any:
        if schema is True or schema == {}:
            return {}
        if schema is False or self._depth > _DEEPEST:
            raise NoExample
        self._depth += 1
        try:
            return self._made(schema)
        finally:
            self._depth -= 1

    def _made(self, schema: JsonSchema) -> Any:
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        for key in ("examples", "enum"):
            if schema.get(key):
                return schema[key][0]
        if "$ref" in schema:
            return self.make(self._named[_name(schema["$ref"])])
        if "allOf" in schema:
            return self.make(self._merged(schema))
        for key in ("oneOf", "anyOf"):
            if key in schema:
                return self._any(schema[key])
        return self._of_type(schema)

    def _any(self, members: list[Any]) -> Any:
        for member in members:
            try:
                return self.make(member)
            except NoExample:
                continue
        raise NoExample

    def _merged(self, schema: JsonSchema) -> JsonSchema:
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            if not isinstance(part, Mapping):
                raise NoExample  # nobody writes true or false here
            member = self._named[_name(part["$ref"])] if "$ref" in part else part
            properties = {**member.get("properties", {}), **merged.get("properties", {})}
            required = [*merged.get("required", []), *member.get("required", [])]
            merged = {**member, **merged}
            merged |= {"properties": properties} if properties else {}
            merged |= {"required": required} if required else {}
        return merged

    def _of_type(self, schema: JsonSchema) -> Any:
        kind = schema.get("type", "object")
        if isinstance(kind, list):
            return self._any([{**schema, "type": one} for one in kind])
        makers: dict[str, Callable[[JsonSchema], Any]] = {
            "array": self._array,
            "boolean": lambda _: True,
            "integer": lambda found: int(_number(found, step=1)),
            "null": lambda _: None,
            "number": _number,
            "object": self._object,
            "string": _text,
        }
        return makers[kind](schema)

    def _object(self, schema: JsonSchema) -> dict[str, Any]:
        properties = schema.get("properties", {})
        found = {name: self.make(properties.get(name, {})) for name in schema.get("required", ())}
        rest = schema.get("additionalProperties", True)
        names = schema.get("propertyNames", {})
        while len(found) < schema.get("minProperties", 0):
            key = self.make({"type": "string", **names})
            found[key if key not in found else f"{key}{len(found)}"] = self.make(rest)
        return found

    def _array(self, schema: JsonSchema) -> list[Any]:
        items = schema.get("items", {})
        if isinstance(items, list):
            return [self.make(item) for item in items]
        return [self.make(items) for _ in range(schema.get("minItems", 0))]


def _number(schema: JsonSchema, step: float = 0) -> float:
    """Return the least number, or the one next to 0 where there is no least one."""
    step = schema.get("multipleOf", step)
    least, below = schema.get("minimum"), schema.get("exclusiveMinimum")
    most, above = schema.get("maximum"), schema.get("exclusiveMaximum")
    if below is not None and (least is None or below >= least):
        return _above(below, step, most if above is None else above)
    if least is not None:
        return _rounded_up(least, step)
    if above is not None and above <= 0 and (most is None or above <= most):
        return -_above(-above, step, None)
    return -_rounded_up(-min(0, most or 0), step)


def _above(bound: float, step: float, limit: float | None) -> float:
    if step:
        return (bound // step + 1) * step
    return bound + 1 if limit is None or bound + 1 < limit else (bound + limit) / 2


def _rounded_up(bound: float, step: float) -> float:
    return -(-bound // step) * step if step else bound


def _text(schema: JsonSchema) -> str:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    pattern = schema.get("pattern")
    for text in (*_TEXTS, "text".ljust(shortest, "t")):
        fits = len(text) >= shortest and (longest is None or len(text) <= longest)
        if fits and (pattern is None or _matches(pattern, text)):
            return text
    return "" if pattern is None else _patterned(pattern)


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        # A regular expression of JavaScript's that Python can not read.
        raise NoExample from error


def _patterned(pattern: str) -> str:
    # Seeded, so that the same contract has the same example.
    return rstr.Rstr(random.Random(pattern)).xeger(pattern)  # noqa: S311 - no secret
