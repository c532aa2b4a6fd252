"""Shapes put together: what is valid for both of two, and whether anything can be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

from purista_celery.exports.diff.keywords import LOWER, UPPER, whole
from purista_celery.exports.diff.pointers import Schema, canonical
from purista_celery.exports.diff.shapes import Bound, Shape, item, tags


def both(left: Iterable[Shape], right: Sequence[Shape]) -> list[Shape]:
    """Return what is valid for one of either side."""
    return [merged for one in left for two in right if (merged := _merged(one, two)) is not None]


def _merged(one: Shape, two: Shape) -> Shape | None:
    if {one.kind, two.kind} == {"integer", "number"}:
        one, two = _integral(one), _integral(two)
    if one.kind != two.kind:
        return None
    values = one.values if two.values is None else two.values
    if one.values is not None and two.values is not None:
        texts = {canonical(each) for each in two.values}
        values = tuple(each for each in one.values if canonical(each) in texts)
    properties = {
        name: _all_of(_property(one, name), _property(two, name))
        for name in (*one.properties, *two.properties)
    }
    width = max(len(one.prefix), len(two.prefix))
    return Shape(
        one.kind,
        values=values,
        lower=max(one.lower, two.lower, key=lambda b: (b.value, b.exclusive)),
        upper=min(one.upper, two.upper, key=lambda b: (b.value, not b.exclusive)),
        least=max(one.least, two.least),
        most=min(one.most, two.most),
        multiples=one.multiples | two.multiples,
        patterns=one.patterns | two.patterns,
        formats=one.formats | two.formats,
        prefix=tuple(_all_of(item(one, n), item(two, n)) for n in range(width)),
        items=_all_of(one.items, two.items),
        unique=one.unique or two.unique,
        properties=properties,
        pattern_properties={
            pattern: _all_of(
                one.pattern_properties.get(pattern, True), two.pattern_properties.get(pattern, True)
            )
            for pattern in (*one.pattern_properties, *two.pattern_properties)
        },
        names_fields=one.names_fields or two.names_fields,
        required=one.required | two.required,
        additional=_additional(one, two),
        names=_all_of(one.names, two.names),
        other=one.other | two.other,
        name=one.name or two.name,
    )


def _integral(shape: Shape) -> Shape:
    """Return the integers of a shape of numbers."""
    lower, upper = shape.lower, shape.upper
    return replace(
        shape,
        kind="integer",
        values=shape.values and tuple(each for each in shape.values if float(each).is_integer()),
        lower=Bound(max(whole(LOWER, *_sides(lower, -math.inf)))),
        upper=Bound(min(whole(UPPER, *_sides(upper, math.inf)))),
    )


def _sides(bound: Bound, none: float) -> tuple[float, float]:
    return (none, bound.value) if bound.exclusive else (bound.value, none)


def _property(shape: Shape, name: str) -> Schema:
    if name in shape.properties:
        return shape.properties[name]
    return True if shape.additional is None else shape.additional


def _additional(one: Shape, two: Shape) -> Schema | None:
    if one.additional is None or two.additional is None:
        return one.additional if two.additional is None else two.additional
    return _all_of(one.additional, two.additional)


def _all_of(one: Schema, two: Schema) -> Schema:
    if one is True or one == {} or canonical(one) == canonical(two):
        return two
    if two is True or two == {}:
        return one
    return False if one is False or two is False else {"allOf": [one, two]}


def disjoint(branches: Sequence[Sequence[Shape]]) -> bool:
    """Tell whether nothing can be valid for two of the branches, as far as tags and types say."""
    return not any(
        _overlap(one, two)
        for left, right in combinations(branches, 2)
        for one in left
        for two in right
    )


def _overlap(one: Shape, two: Shape) -> bool:
    if one.kind != two.kind and {one.kind, two.kind} != {"integer", "number"}:
        return False
    if one.values is not None and two.values is not None:
        return bool({*map(canonical, one.values)} & {*map(canonical, two.values)})
    mine, theirs = tags(one), tags(two)
    return not any(mine[name] != theirs[name] for name in mine.keys() & theirs.keys())
