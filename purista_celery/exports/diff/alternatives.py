"""A schema as alternatives of one type each, so that two schemas can be compared part by part.

``allOf``, references and keywords beside them are merged; ``anyOf``, ``oneOf``, lists of types and
enumerations become alternatives. What is not understood is kept as text and compared as that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from purista_celery.exports.diff.keywords import all_values, own
from purista_celery.exports.diff.merging import both, disjoint
from purista_celery.exports.diff.pointers import Document, Schema
from purista_celery.exports.diff.shapes import KINDS, Shape


def alternatives(schema: Schema, document: Document, _above: tuple[str, ...] = ()) -> list[Shape]:
    """Return the alternatives of ``schema``: what is valid is valid for one of them."""
    if schema is True or schema == {}:
        return [Shape(kind, values=all_values(kind)) for kind in KINDS if kind != "integer"]
    if not isinstance(schema, Mapping):
        return []
    shapes = own(schema, document)
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = None if reference in _above else document.resolve(reference)
        if target is None:
            shapes = [_with_other(shape, "$ref", reference) for shape in shapes]
        else:
            found = alternatives(target, document, (*_above, reference))
            named = [replace(each, name=each.name or reference) for each in found]
            shapes = both(shapes, named)
    for part in schema.get("allOf", ()):
        shapes = both(shapes, alternatives(part, document, _above))
    if "anyOf" in schema:
        found = [each for part in schema["anyOf"] for each in alternatives(part, document, _above)]
        shapes = both(shapes, found)
    if "oneOf" in schema:
        branches = [alternatives(part, document, _above) for part in schema["oneOf"]]
        found = [each for branch in branches for each in branch]
        if not disjoint(branches):
            text = document.text({"oneOf": schema["oneOf"]})
            found = [_with_other(each, "oneOf", text) for each in found]
        shapes = both(shapes, found)
    return shapes


def _with_other(shape: Shape, keyword: str, text: str) -> Shape:
    return replace(shape, other=shape.other | {(keyword, text)})
