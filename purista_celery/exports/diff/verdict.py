"""How much a change matters, and a difference between two schemas before it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal


class Verdict(IntEnum):
    """Greater is worse."""

    #: Whoever keeps to the old contract notices nothing.
    COMPATIBLE = 0
    #: It depends on what the contract does not say; somebody should look.
    RISKY = 1
    #: Whoever keeps to the old contract can fail, or miss what it was promised.
    BREAKING = 2

    @property
    def word(self) -> str:
        """The verdict as reports show it."""
        return self.name.lower()


#: In which way a reader's schema does not fit a sender's.
Kind = Literal[
    "missing",  # the reader requires a field that the sender does not know
    "required",  # the reader requires a field that the sender may leave out
    "absent",  # the reader knows an optional field that the sender does not
    "unexpected",  # the sender sends a field that the reader refuses
    "open",  # the sender's unnamed fields may collide with one that the reader names
    "type",
    "null",
    "enum",
    "variant",  # of a union
    "bounds",  # of a number, a length or a count
    "pattern",  # the reader has one, the sender none
    "rewritten-pattern",
    "format",
    "unchecked-format",  # one that readers may check, or not
    "default",
    "undecided",  # a keyword or a combination that is not compared
]

_RISKY: frozenset[Kind] = frozenset(
    {"absent", "open", "rewritten-pattern", "unchecked-format", "default", "undecided"}
)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One way in which what a sender may send does not fit what a reader takes."""

    kind: Kind
    #: JSON pointer into the message; ``*`` is any item or unnamed field.
    path: str
    sender: str
    reader: str

    @property
    def verdict(self) -> Verdict:
        """Whether the reader fails, or only may."""
        return Verdict.RISKY if self.kind in _RISKY else Verdict.BREAKING
