"""Schemas, and pairs of schemas of which one was made from the other."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import strategies as st

NAMES = ("id", "kind", "note", "total")
scalars = st.one_of(st.integers(-3, 3), st.sampled_from(["a", "bb", "ccc", ""]), st.none())
small = st.integers(0, 3)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _keywords(kind: str, **keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {key: st.none() | value for key, value in keywords.items()}
    return st.fixed_dictionaries({"type": st.just(kind), **fields}).map(_without_none)


leaves = st.one_of(
    _keywords(
        "integer",
        minimum=st.integers(-3, 0),
        maximum=st.integers(0, 3),
        exclusiveMaximum=st.integers(1, 4),
        multipleOf=st.integers(1, 3),
    ),
    _keywords("number", minimum=st.integers(-3, 0), exclusiveMinimum=st.integers(-4, -1)),
    _keywords(
        "string", minLength=small, maxLength=st.integers(3, 5), pattern=st.sampled_from(["^a", "b"])
    ),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, True]),
    st.lists(scalars, min_size=1, max_size=3, unique_by=lambda v: (type(v), v)).map(
        lambda values: {"enum": values}
    ),
    scalars.map(lambda value: {"const": value}),
)


def _objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "type": st.just("object"),
            "properties": st.dictionaries(st.sampled_from(NAMES), children, max_size=3),
            "required": st.lists(st.sampled_from(NAMES), unique=True, max_size=2),
            "additionalProperties": st.none() | st.booleans() | children,
            "patternProperties": st.none() | st.dictionaries(st.just("^n"), children, max_size=1),
            "propertyNames": st.none() | st.sampled_from([{"minLength": 3}, {"pattern": "^[a-k]"}]),
            "minProperties": st.none() | st.just(1),
            "maxProperties": st.none() | st.integers(2, 4),
            "dependentRequired": st.none() | st.just({"id": ["kind"]}),
        }
    ).map(_without_none)


def _deeper(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(children, min_size=1, max_size=3)
    return st.one_of(
        _objects(children),
        _objects(children),
        _keywords("array", items=children, maxItems=st.integers(1, 3), minItems=st.integers(0, 1)),
        _keywords(
            "array",
            prefixItems=st.lists(children, min_size=1, max_size=2),
            items=st.booleans(),
            uniqueItems=st.booleans(),
            contains=children,
        ),
        children.map(lambda part: {"not": part}),
        several.map(lambda parts: {"anyOf": parts}),
        several.map(lambda parts: {"oneOf": parts}),
        st.lists(children, min_size=2, max_size=2).map(lambda parts: {"allOf": parts}),
        st.sampled_from([{"$ref": "#/$defs/node"}]),
    )


nodes = st.recursive(leaves, _deeper, max_leaves=6)
recursive_node = st.fixed_dictionaries({"value": leaves}).map(
    lambda properties: {
        "type": "object",
        "properties": {
            **properties,
            "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
        },
    }
)
documents = st.builds(
    lambda node, root: {**(root if isinstance(root, dict) else {}), "$defs": {"node": node}},
    recursive_node,
    nodes,
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """A schema, and another that was made from it by a few edits."""
    before = draw(documents)
    after = before
    for _ in range(draw(st.integers(0, 2))):
        after = draw(_edited(after))
    return before, after


@st.composite
def _edited(draw: st.DrawFn, schema: Any) -> Any:
    """``schema`` with one keyword of one of its parts changed."""
    if not isinstance(schema, dict) or not schema:
        return draw(nodes)
    key = draw(st.sampled_from(sorted(schema)))
    value = schema[key]
    if key in ("items", "additionalProperties", "contains", "not", "propertyNames"):
        changed: Any = draw(_edited(value))
    elif key in ("properties", "patternProperties", "$defs") and value:
        name = draw(st.sampled_from(sorted(value)))
        gone = key == "properties" and draw(st.booleans())
        rest = {k: v for k, v in value.items() if k != name}
        changed = rest if gone else {**value, name: draw(_edited(value[name]))}
    elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        number = draw(st.integers(0, len(value) - 1))
        changed = [*value[:number], draw(_edited(value[number])), *value[number + 1 :]]
    elif key == "enum":
        changed = [*value, draw(st.sampled_from(["new", 9]))]
    elif key == "required":
        changed = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2))
    elif type(value) is int and key != "const":
        changed = value + draw(st.sampled_from([-1, 1]) if value > 1 else st.just(1))
    else:
        return {k: v for k, v in schema.items() if k != key or key == "$defs"}
    return {**schema, key: changed}


def closed(schema: Any) -> Any:
    """Return ``schema`` as a sender keeps to it: it sends no field that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties", "$defs"):
            made[key] = {name: closed(each) for name, each in value.items()}
        else:
            made[key] = value if key in ("const", "enum", "required") else closed(value)
    if made.keys() & {"properties", "patternProperties"} and "additionalProperties" not in made:
        made["additionalProperties"] = False
    return made


class Sender:
    """Makes messages that are likely to be valid for a schema; the validator has the last word."""

    def __init__(self, schema: Any, seed: int) -> None:
        self._root = schema
        self._random = Random(seed)

    def message(self) -> Any:
        return self._made(self._root, 0)

    def _made(self, schema: Any, depth: int) -> Any:
        while isinstance(schema, dict):
            parts = [part for key in ("anyOf", "oneOf", "allOf") for part in schema.get(key, ())]
            if "$ref" in schema:
                parts = [self._root["$defs"]["node"]]
            if not parts:
                break
            schema = self._random.choice(parts)
        if not isinstance(schema, dict) or depth > 6:
            return self._anything(depth)
        if values := [schema["const"]] if "const" in schema else schema.get("enum"):
            return self._random.choice(values)
        kind = schema.get("type")
        kind = self._random.choice(kind) if isinstance(kind, list) else kind
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            length = self._random.randint(schema.get("minItems", 0), 3)
            return [self._made(schema.get("items", True), depth + 1) for _ in range(length)]
        return self._scalar(kind) if kind else self._anything(depth)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        known = schema.get("properties", {})
        names = {*schema.get("required", ())} | {*self._random.sample(NAMES, 2)}
        if self._random.random() < 0.5:
            names |= known.keys()
        parts = {n: known.get(n, schema.get("additionalProperties", True)) for n in sorted(names)}
        return {n: self._made(p, depth + 1) for n, p in parts.items() if p is not False}

    def _scalar(self, kind: str) -> Any:
        values: dict[str, list[Any]] = {
            "string": ["", "a", "ab", "abb", "b", "cccc", "abbbb"],
            "integer": [*range(-5, 7), 2.0],
            "number": [-3.5, -3, -1, 0, 0.5, 2],
            "boolean": [True, False],
            "null": [None],
        }
        return self._random.choice(values[kind])

    def _anything(self, depth: int) -> Any:
        kinds = ["string", "integer", "number", "boolean", "null"]
        if depth < 4 and self._random.random() < 0.5:
            return self._made({"type": self._random.choice(["object", "array"])}, depth + 1)
        return self._scalar(self._random.choice(kinds))
