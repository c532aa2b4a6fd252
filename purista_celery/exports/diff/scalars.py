"""Numbers, texts and counts of a sender's shape against those of a reader's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from purista_celery.exports.diff.formats import CHECKED, SHOWN
from purista_celery.exports.diff.shapes import Bound, Shape
from purista_celery.exports.diff.verdict import Kind, Mismatch


def keywords(sender: Shape, reader: Shape, path: str) -> Iterator[Mismatch]:
    """Compare what is not compared in depth: it is the same, or nobody knows."""
    for keyword, _ in sorted(reader.other - sender.other):
        yield mismatch("undecided", path, f"another {keyword}", keyword)


def numbers(sender: Shape, reader: Shape, path: str) -> Iterator[Mismatch]:
    """Compare all that a sender's number may be."""
    if sender.kind == "number" and reader.kind == "integer":
        yield mismatch("type", path, "number", "integer")
    if _below(sender.lower, reader.lower):
        yield mismatch("bounds", path, f"from {sender.lower.value}", f"from {reader.lower.value}")
    if _above(sender.upper, reader.upper):
        yield mismatch("bounds", path, f"to {sender.upper.value}", f"to {reader.upper.value}")
    steps = sender.multiples | ({1} if sender.kind == "integer" else set())
    for factor in sorted(reader.multiples):
        if not any(Decimal(str(step)) % Decimal(str(factor)) == 0 for step in steps):
            yield mismatch("bounds", path, "other numbers", f"multiples of {factor}")
    yield from _formats(sender, reader, path)


def strings(sender: Shape, reader: Shape, path: str) -> Iterator[Mismatch]:
    """Compare all that a sender's text may be."""
    yield from counts(sender, reader, path, "characters")
    kind: Kind = "rewritten-pattern" if sender.patterns else "pattern"
    for pattern in sorted(reader.patterns - sender.patterns):
        yield mismatch(kind, path, ", ".join(sorted(sender.patterns)) or "any", pattern)
    yield from _formats(sender, reader, path)


def text_of(value: str, reader: Shape, path: str) -> Iterator[Mismatch]:
    """Compare one string."""
    if not reader.least <= len(value) <= reader.most:
        yield mismatch("bounds", path, f"{len(value)} characters", "another length")
    for pattern in reader.patterns:
        if not may_match(pattern, value):
            yield mismatch("pattern", path, value, pattern)
    for name in reader.formats - SHOWN:
        yield mismatch("unchecked-format", path, value, name)


def counts(sender: Shape, reader: Shape, path: str, what: str) -> Iterator[Mismatch]:
    """Compare how long a text, or how many ``what`` an array or object may have."""
    least, most = f"from {sender.least} {what}", f"to {sender.most} {what}"
    if sender.least < reader.least:
        yield mismatch("bounds", path, least, f"from {reader.least} {what}")
    if sender.most > reader.most:
        yield mismatch("bounds", path, most, f"to {reader.most} {what}")


def may_match(pattern: str, text: str) -> bool:
    """Tell whether ``text`` fits; a pattern that only JavaScript reads may be anything."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True


def mismatch(kind: Kind, path: str, sender: str, reader: str) -> Mismatch:
    """Return a mismatch; the root's pointer is shown as ``/``."""
    return Mismatch(kind, path or "/", sender, reader)


def _formats(sender: Shape, reader: Shape, path: str) -> Iterator[Mismatch]:
    for name in sorted(reader.formats - sender.formats - SHOWN):
        mine = ", ".join(sorted(sender.formats)) or "any"
        yield mismatch("format" if name in CHECKED else "unchecked-format", path, mine, name)


def _below(sender: Bound, reader: Bound) -> bool:
    return (sender.value, sender.exclusive) < (reader.value, reader.exclusive)


def _above(sender: Bound, reader: Bound) -> bool:
    return (sender.value, not sender.exclusive) > (reader.value, not reader.exclusive)
