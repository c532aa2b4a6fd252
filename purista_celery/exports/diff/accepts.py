"""Does a reader's schema take everything that a sender with another schema may send?

Sound where it says yes, under one assumption: a sender sends no field that its schema does not
name, unless that schema has no ``properties`` at all or says ``additionalProperties``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from purista_celery.exports.diff.alternatives import alternatives
from purista_celery.exports.diff.pointers import Document, Schema, canonical
from purista_celery.exports.diff.scalars import (
    counts,
    keywords,
    may_match,
    mismatch,
    numbers,
    strings,
    text_of,
)
from purista_celery.exports.diff.shapes import Bound, Shape, item, kind_of, of_value, tags
from purista_celery.exports.diff.verdict import Kind, Mismatch, Verdict

#: Too deep to go on: no message is.
_DEPTH = 60


class Comparison:
    """Compares parts of a sender's document with parts of a reader's."""

    def __init__(self, sender: Schema, reader: Schema) -> None:
        self._sender = Document(sender)
        self._reader = Document(reader)
        #: Pairs that are being compared: what leads back to itself adds nothing.
        self._under_way: set[tuple[str, str]] = set()

    def mismatches(self) -> list[Mismatch]:
        """Return all that a reader would stumble over, by place."""
        return self._node(self._sender.root, self._reader.root, "")

    def _node(self, sender: Schema, reader: Schema, path: str) -> list[Mismatch]:
        pair = (self._sender.text(sender), self._reader.text(reader))
        if pair[0] == pair[1] or pair in self._under_way:
            return []
        if len(self._under_way) > _DEPTH:
            return [mismatch("undecided", path, "nested deeply", "nested deeply")]
        self._under_way.add(pair)
        try:
            mine = alternatives(sender, self._sender)
            theirs = alternatives(reader, self._reader)
            found = [each for one in mine for each in self._one(one, theirs, mine, path)]
            return list(dict.fromkeys(found))
        finally:
            self._under_way.discard(pair)

    def _one(
        self, sender: Shape, readers: Sequence[Shape], siblings: Sequence[Shape], path: str
    ) -> list[Mismatch]:
        """Return why none of the reader's alternatives takes one of the sender's."""
        if sender.values == ():
            return []
        fitting = [each for each in readers if _takes_kind(sender, each)]
        if not fitting:
            kind: Kind = "null" if sender.kind == "null" else "type"
            takes = " or ".join(dict.fromkeys(each.kind for each in readers)) or "nothing"
            return [mismatch(kind, path, sender.kind, takes)]
        if sender.values is not None:
            return self._values(sender.values, fitting, path)
        named = [each for each in fitting if _same_variant(sender, each)]
        tried = [self._shape(sender, each, path) for each in named or fitting]
        best = min(tried, key=_severity)
        several = len(fitting) > 1 or sum(each.kind == sender.kind for each in siblings) > 1
        if not best or not several or named or _severity(best)[0] < Verdict.BREAKING:
            return best
        if sender.kind in ("object", "array"):
            return [mismatch("variant", path, _shown(sender), "none such")]
        return [mismatch("undecided", path, _shown(sender), "a union")]

    def _values(self, values: Sequence[Any], readers: Sequence[Shape], path: str) -> list[Mismatch]:
        """Return why some of the values fit none of the reader's alternatives."""
        reasons = {
            canonical(value): min((self._value(value, r, path) for r in readers), key=_severity)
            for value in values
        }
        refused = {value: found for value, found in reasons.items() if found}
        if not refused:
            return []
        sure = max(map(_severity, refused.values()))[0] is Verdict.BREAKING
        takes = [value for each in readers for value in each.values or ("other values",)]
        kind: Kind = "enum" if sure else "undecided"
        return [mismatch(kind, path, ", ".join(refused), _listed(takes))]

    def _shape(self, sender: Shape, reader: Shape, path: str) -> list[Mismatch]:
        if reader.values is not None:
            return [mismatch("enum", path, f"any {sender.kind}", _listed(reader.values))]
        return [
            *keywords(sender, reader, path),
            *{
                "integer": numbers,
                "number": numbers,
                "string": strings,
                "array": self._arrays,
                "object": self._objects,
            }[sender.kind](sender, reader, path),
        ]

    def _value(self, value: Any, reader: Shape, path: str) -> list[Mismatch]:
        """Return why the reader does not take one value."""
        kind = kind_of(value)
        found = list(keywords(Shape(kind), reader, path))
        if reader.values is not None:
            texts = {canonical(each) for each in reader.values}
            if canonical(value) not in texts:
                return [mismatch("enum", path, "", "")]
        if kind in ("null", "boolean"):
            return found
        if kind in ("array", "object"):
            return self._shape(of_value(value), replace(reader, values=None), path)
        if kind == "string":
            return [*found, *text_of(value, reader, path)]
        exact = Shape(kind, lower=Bound(value), upper=Bound(value), multiples=frozenset([value]))
        return [*found, *numbers(exact, reader, path)]

    def _arrays(self, sender: Shape, reader: Shape, path: str) -> Iterator[Mismatch]:
        yield from counts(sender, reader, path, "items")
        if reader.unique and not sender.unique and sender.most > 1:
            yield mismatch("bounds", path, "repeated items", "unique items")
        width = max(len(sender.prefix), len(reader.prefix))
        for number in range(int(min(width, sender.most))):
            yield from self._node(item(sender, number), item(reader, number), f"{path}/{number}")
        if sender.most > width:
            yield from self._node(sender.items, reader.items, f"{path}/*")

    def _objects(self, sender: Shape, reader: Shape, path: str) -> Iterator[Mismatch]:
        yield from self._fields(sender, reader, path)
        yield from self._unnamed(sender, reader, path)
        # A reader fills in a default; a schema of what is always sent calls such fields required.
        filled = {n for n, s in reader.properties.items() if _default(s, self._reader) is not None}
        for name in sorted(reader.required - filled - sender.required):
            known = name in sender.properties
            yield mismatch(
                "required" if known else "missing",
                f"{path}/{name}",
                "may leave it out" if known else "does not know it",
                "requires it",
            )
        fields = len(sender.required), math.inf if _open(sender) else len(sender.properties)
        if reader.least > max(sender.least, fields[0]) or reader.most < min(sender.most, fields[1]):
            yield from counts(sender, reader, path, "fields")

    def _fields(self, sender: Shape, reader: Shape, path: str) -> Iterator[Mismatch]:
        """Compare the fields that the sender names."""
        for name, mine in sender.properties.items():
            place = f"{path}/{_escaped(name)}"
            if mine is False:
                continue
            if reader.names is not True:
                yield from self._node({"const": name}, reader.names, place)
            for theirs in _readers_of(name, reader):
                if theirs is False:
                    yield mismatch("unexpected", place, "sends it", "refuses it")
                else:
                    yield from self._node(mine, theirs, place)
            if name not in sender.required and name in reader.properties:
                yield from self._defaults(mine, reader.properties[name], place)

    def _defaults(self, mine: Schema, theirs: Schema, path: str) -> Iterator[Mismatch]:
        """Compare what a field that is left out is read as."""
        one, two = _default(mine, self._sender), _default(theirs, self._reader)
        if one != two and one is not None and two is not None:
            yield mismatch("default", path, one, two)

    def _unnamed(self, sender: Shape, reader: Shape, path: str) -> Iterator[Mismatch]:
        """Compare what the sender does not name."""
        rest = True if sender.additional is None else sender.additional
        for name, theirs in reader.properties.items():
            if name in sender.properties:
                continue
            place = f"{path}/{_escaped(name)}"
            patterned = [s for p, s in sender.pattern_properties.items() if may_match(p, name)]
            candidates = patterned or ([rest] if _open(sender) else [])
            if any(each is not False and self._node(each, theirs, place) for each in candidates):
                yield mismatch("open", place, "may send anything as it", "names it")
            elif not candidates and (
                name not in reader.required or _default(theirs, self._reader) is not None
            ):
                yield mismatch("absent", place, "does not know it", "takes it")
        for pattern, mine in sender.pattern_properties.items():
            theirs = reader.pattern_properties.get(pattern, reader.additional)
            yield from self._rest(mine, True if theirs is None else theirs, f"{path}/*")
        if _open(sender):
            theirs = True if reader.additional is None else reader.additional
            yield from self._rest(rest, theirs, f"{path}/*")
            yield from self._node(sender.names, reader.names, f"{path}/*")
            for pattern, theirs in reader.pattern_properties.items():
                if pattern not in sender.pattern_properties and self._node(rest, theirs, path):
                    yield mismatch("undecided", path, "any name", f"names {pattern}")

    def _rest(self, mine: Schema, theirs: Schema, path: str) -> Iterator[Mismatch]:
        if theirs is False and mine is not False:
            yield mismatch("unexpected", path, "sends unnamed fields", "refuses them")
        elif mine is not False:
            yield from self._node(mine, theirs, path)


def _readers_of(name: str, reader: Shape) -> list[Schema]:
    """Return the schemas that a field has to fit at the reader's."""
    found = [reader.properties[name]] if name in reader.properties else []
    found += [s for p, s in reader.pattern_properties.items() if may_match(p, name)]
    if not found and reader.additional is not None:
        found = [reader.additional]
    return found


def _open(sender: Shape) -> bool:
    """Tell whether the sender may send fields that it does not name."""
    if sender.additional is None:
        return not sender.names_fields
    return sender.additional is not False


def _takes_kind(sender: Shape, reader: Shape) -> bool:
    pair = {sender.kind, reader.kind}
    return sender.kind == reader.kind or pair == {"integer", "number"}


def _same_variant(sender: Shape, reader: Shape) -> bool:
    """Tell whether two objects of two unions are versions of one variant."""
    mine, theirs = tags(sender, optional=True), tags(reader, optional=True)
    shared = mine.keys() & theirs.keys()
    if shared:
        return all(mine[name] == theirs[name] for name in shared)
    return bool(sender.name) and sender.name == reader.name


def _default(schema: Schema, document: Document) -> str | None:
    if not isinstance(schema, dict):
        return None
    if "default" not in schema and isinstance(schema.get("$ref"), str):
        return _default(document.resolve(schema["$ref"]), document)
    return canonical(schema["default"]) if "default" in schema else None


def _severity(found: Sequence[Mismatch]) -> tuple[int, int]:
    return max((each.verdict for each in found), default=Verdict.COMPATIBLE), len(found)


def _shown(shape: Shape) -> str:
    known = tags(shape, optional=True)
    if known:
        return ", ".join(f"{name} {value}" for name, value in sorted(known.items()))
    return shape.name.rpartition("/")[2] or shape.kind


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(canonical(each) for each in values)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
