"""How much a text may open to: JSON from outside is measured before anything is made of it.

A few kilobytes of brackets become megabytes of objects, and a parser's recursion ends a worker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Whatever stands behind a backslash, a quote too, ends no string.
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


@dataclass(frozen=True)
class Bounds:
    """What a JSON text may hold."""

    #: Bytes.
    size: int
    #: Lists and objects within each other.
    depth: int
    #: Values and keys; lists and objects in others may count twice.
    parts: int

    def excess(self, text: bytes) -> str | None:
        """Say by what ``text`` goes beyond these bounds; None if it keeps them.

        Nothing is parsed, and what is no JSON may keep them too. Takes time and memory in
        proportion to the text's length, and to no more than that.
        """
        if len(text) > self.size:
            return f"it has {len(text)} bytes, and {self.size} are allowed"
        if self._are_few(text):
            return None
        bare = _ESCAPED.sub(b"", text)
        if bare.count(b'"') > 2 * self.parts:
            return self._too_many()
        # Between the first quote and the second there is a text, and so on.
        outside = b" ".join(bare.split(b'"')[::2])
        if outside.count(b",") + outside.count(b"[") + outside.count(b"{") > self.parts:
            return self._too_many()
        if _is_deeper(outside, self.depth):
            return f"it is nested more than {self.depth} levels deep"
        return None

    def _are_few(self, text: bytes) -> bool:
        """Tell whether it can not be too many or too deep, whatever stands in its strings."""
        opened = text.count(b"[") + text.count(b"{")
        return opened <= self.depth and (
            text.count(b",") + opened <= self.parts and text.count(b'"') <= 2 * self.parts
        )

    def _too_many(self) -> str:
        return f"it has more than {self.parts} values"


def _is_deeper(text: bytes, most: int) -> bool:
    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > most:
            return True
    return False
