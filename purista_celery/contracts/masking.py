"""Hiding what is marked :class:`Sensitive` in data that is to be looked at.

What is sensitive is read from the type's JSON Schema, so data that does not fit its contract can be
masked too. In doubt more is hidden: any member of a union that marks a place marks it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaWarningKind

from purista_celery.contracts.sensitive import KEYWORD

MASK = "***"

#: Texts shorter than this are hidden in other texts only where they are words of their own.
_SHORT = 4

#: How pydantic writes what it got into the text of a ValidationError.
_PYDANTICS_INPUT = re.compile(r"input_value=.*?, input_type=", re.DOTALL)

Schema = Mapping[str, Any]


def is_sensitive(adapter: TypeAdapter[Any]) -> bool:
    """Tell whether a value of the adapter's type may hold something sensitive."""
    return _marks_of(adapter) is not None


def masked(adapter: TypeAdapter[Any], value: Any) -> Any:
    """Return JSON-able ``value`` with what is sensitive replaced by ``***``."""
    marks = _marks_of(adapter)
    return value if marks is None else _Walk(marks, lambda _: MASK).value(value, marks.root)


def secrets(adapter: TypeAdapter[Any], value: Any) -> Secrets:
    """Return the sensitive values in JSON-able ``value``, to hide them in texts."""
    marks = _marks_of(adapter)
    if marks is None:
        return NO_SECRETS
    found: list[Any] = []
    _Walk(marks, found.append).value(value, marks.root)
    texts = frozenset(text for each in found for text in _texts(each))
    return Secrets(texts, sensitive=True)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Sensitive values, as texts."""

    texts: frozenset[str] = frozenset()
    #: Whether they are of a type that has sensitive fields, set or not.
    sensitive: bool = False

    def __or__(self, other: Secrets) -> Secrets:
        return Secrets(self.texts | other.texts, self.sensitive or other.sensitive)

    def hidden_in(self, text: str) -> str:
        """Return ``text`` with each of them replaced by ``***``, also where it is quoted.

        What pydantic says of an input goes too: it cuts it, and half a secret is found by no name.
        """
        if not self.sensitive:
            return text
        text = _PYDANTICS_INPUT.sub(f"input_value={MASK}, input_type=", text)
        return re.sub("|".join(self._patterns()), MASK, text) if self.texts else text

    def hidden_anywhere(self, value: Any) -> Any:
        """Return JSON-able ``value`` with all of its texts and numbers as :meth:`hidden_in`."""
        if isinstance(value, Mapping):
            return {key: self.hidden_anywhere(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.hidden_anywhere(each) for each in value]
        if isinstance(value, str):
            return self.hidden_in(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return MASK if is_number and str(value) in self.texts else value

    def _patterns(self) -> Iterator[str]:
        spellings = {spelt for text in self.texts for spelt in _spellings(text)}
        # The longest first: one may be part of another.
        for spelt in sorted(spellings, key=len, reverse=True):
            pattern = re.escape(spelt)
            yield pattern if len(spelt) >= _SHORT else rf"(?<!\w){pattern}(?!\w)"


NO_SECRETS = Secrets()


def _spellings(text: str) -> Iterator[str]:
    yield from (text, repr(text)[1:-1], json.dumps(text)[1:-1])
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield text.replace("\\", "\\\\").replace("'", "\\'")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif value is not None and not isinstance(value, bool) and value != "":
        yield str(value)


class _Generator(GenerateJsonSchema):
    """Describes what has no JSON Schema as anything: a mark beside it still counts."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {  # noqa: RUF012 - pydantic's attribute
        "skipped-choice",
        "non-serializable-default",
    }

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:  # noqa: ARG002 - pydantic's signature
        return {}


@dataclass(frozen=True, slots=True)
class _Marks:
    """A type's schemas, and what they refer to."""

    #: As it is sent, and as it is accepted: names and forms may differ.
    root: tuple[Schema, ...]
    definitions: Mapping[str, Schema]

    def members(self, schemas: Iterable[Schema]) -> list[Schema]:
        """Return all schemas that a value at this place may be of: unions and references opened."""
        found: list[Schema] = []
        waiting = [*schemas]
        seen: set[str] = set()
        while waiting:
            schema = waiting.pop()
            if not isinstance(schema, Mapping):
                continue  # true, false
            found.append(schema)
            for key in ("allOf", "anyOf", "oneOf"):
                waiting += schema.get(key, ())
            reference = schema.get("$ref")
            if reference is not None and reference not in seen:
                seen.add(reference)
                waiting.append(self.definitions[reference])
        return found


@cache
def _marks_of(adapter: TypeAdapter[Any]) -> _Marks | None:
    modes: tuple[JsonSchemaMode, ...] = ("serialization", "validation")
    found = [
        adapter.json_schema(
            mode=mode, schema_generator=_Generator, ref_template=f"{mode}/{{model}}"
        )
        for mode in modes
    ]
    if KEYWORD not in json.dumps(found, default=str):
        return None
    definitions = {
        f"{mode}/{name}": schema
        for mode, document in zip(modes, found, strict=True)
        for name, schema in document.get("$defs", {}).items()
    }
    return _Marks(root=tuple(found), definitions=definitions)


class _Walk:
    """Walks a value beside its schemas, and replaces what is sensitive."""

    def __init__(self, marks: _Marks, replace: Callable[[Any], Any]) -> None:
        self._marks = marks
        self._replace = replace

    def value(self, value: Any, schemas: Iterable[Schema]) -> Any:
        if value is None:
            return None
        members = self._marks.members(schemas)
        if any(_hides(schema) for schema in members) or not _fits(value, members):
            return self._replace(value)
        if isinstance(value, Mapping):
            return {key: self._property(key, each, members) for key, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, _items(at, members)) for at, each in enumerate(value)]
        return value

    def _property(self, key: str, value: Any, members: list[Schema]) -> Any:
        known = [member["properties"][key] for member in members if key in _named(member)]
        known += [part for m in members for part in m.get("patternProperties", {}).values()]
        if not known:
            rest = [m["additionalProperties"] for m in members if "additionalProperties" in m]
            known = [schema for schema in rest if isinstance(schema, Mapping)]
            if not known and any(map(_named, members)):
                # Of a contract with secrets, and not of this name: one of them, misspelt?
                return self._replace(value)
        return self.value(value, known)


def _hides(schema: Schema) -> bool:
    # A mapping whose keys are sensitive is hidden as a whole.
    return KEYWORD in schema or KEYWORD in json.dumps(schema.get("propertyNames", {}))


def _fits(value: Any, members: list[Schema]) -> bool:
    """Tell whether a value has the form that its place expects, as far as structure goes."""
    kinds = {schema["type"] for schema in members if isinstance(schema.get("type"), str)}
    if not kinds or not kinds <= {"object", "array", "null"}:
        return True
    if isinstance(value, Mapping):
        return "object" in kinds
    return "array" in kinds and isinstance(value, list)


def _named(schema: Schema) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema.get("properties", {})
    return found


def _items(position: int, members: list[Schema]) -> list[Schema]:
    found: list[Schema] = []
    for schema in members:
        first = schema.get("prefixItems", ())
        if position < len(first):
            found.append(first[position])
        elif "items" in schema:
            found.append(schema["items"])
    return found
