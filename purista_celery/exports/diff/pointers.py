"""A JSON Schema document: references, and the text under which equal schemas are equal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: A schema is an object, or ``true`` (anything) or ``false`` (nothing).
Schema = Any

#: Say nothing of what is valid.
ANNOTATIONS = frozenset(
    {
        *("title", "description", "examples", "example", "deprecated"),
        *("readOnly", "writeOnly", "$comment", "$schema", "$id", "discriminator"),
        *("$defs", "definitions"),
    }
)
_DEFINITIONS = frozenset({"$defs", "definitions"})
#: Their values are names, not schemas: ``title`` in there is a field called so.
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})
#: Their values are data.
_DATA = frozenset({"const", "default", "enum", "required", "dependentRequired"})


def canonical(value: Any) -> str:
    """Return the text of a JSON value that equal values share; 1.0 is 1, as JSON Schema has it."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def is_annotation(keyword: str) -> bool:
    """Tell whether a keyword does not change what is valid."""
    return keyword in ANNOTATIONS or keyword.startswith("x-")


class Document:
    """The root that ``#/…`` references of a schema point into."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self._texts: dict[str, str] = {}

    def resolve(self, reference: str) -> Schema | None:
        """Return what a reference points at; None where it leaves the document or dangles."""
        if not reference.startswith("#"):
            return None
        node = self.root
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
                node = node[int(key)]
            else:
                return None
        return node

    def text(self, schema: Schema) -> str:
        """Return a text that is the same for schemas which are valid for the same by their form.

        References are followed; one that leads back into itself is named by how far.
        """
        raw = canonical(schema)
        if raw not in self._texts:
            self._texts[raw] = canonical(self._expanded(schema, ()))
        return self._texts[raw]

    def _expanded(self, schema: Schema, above: tuple[str, ...]) -> Any:
        if isinstance(schema, list):
            return [self._expanded(each, above) for each in schema]
        if not isinstance(schema, Mapping):
            return {} if schema is True else schema
        kept = {key: value for key, value in schema.items() if not is_annotation(key)}
        reference = kept.get("$ref")
        target = self.resolve(reference) if isinstance(reference, str) else None
        if reference in above:
            return {**kept, "$ref": above[::-1].index(reference)}
        if target is not None and set(kept) == {"$ref"}:
            return self._expanded(target, (*above, str(reference)))
        expanded = {key: self._value(key, value, above) for key, value in kept.items()}
        if target is not None:
            expanded["$ref"] = self._expanded(target, (*above, str(reference)))
        return expanded

    def _value(self, keyword: str, value: Any, above: tuple[str, ...]) -> Any:
        if keyword in _NAMED and isinstance(value, Mapping):
            return {name: self._expanded(each, above) for name, each in value.items()}
        if keyword in ("required", "enum") and isinstance(value, list):
            return sorted(value, key=canonical)
        return value if keyword in _DATA else self._expanded(value, above)


def documentation_differs(old: Schema, new: Schema) -> bool:
    """Tell whether a part that both schemas have is described in other words."""
    before, after = dict(_described(old)), dict(_described(new))
    return any(before[place] != after[place] for place in before.keys() & after.keys())


def _described(schema: Schema, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each part's place, and its title, description and the like."""
    if isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from _described(each, f"{path}/{number}")
    if not isinstance(schema, Mapping):
        return
    yield path, canonical({key: value for key, value in schema.items() if _describes(key)})
    for key, value in schema.items():
        if key in _NAMED | _DEFINITIONS and isinstance(value, Mapping):
            for name, each in value.items():
                yield from _described(each, f"{path}/{key}/{name}")
        elif key not in _DATA and not is_annotation(key):
            yield from _described(value, f"{path}/{key}")


def _describes(keyword: str) -> bool:
    return is_annotation(keyword) and keyword not in _DEFINITIONS


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
