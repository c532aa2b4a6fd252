"""Faults are values, and what is to go wrong is a sequence of them that a seed decides."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.acceptance.chaos.kinds import LINES, MOMENTARY, OUTAGES, Kind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, for a while."""

    kind: Kind
    #: The name of the post that it befalls.
    post: str
    #: Seconds until it is mended.
    lasting: float
    #: Seconds until the next fault; less than ``lasting`` where faults overlap.
    pause: float
    #: In [0, 1): decides what the kind leaves open, like which child or which signal.
    luck: float = 0.0
    #: Whether it is waited for where another is in its way, and not left out.
    due: bool = False

    def excludes(self, other: Fault) -> bool:
        """Tell whether both can not be under way: a post has one process, and one pair of lines."""
        return self.post == other.post and (self.kind in LINES) == (other.kind in LINES)

    def of(self, choices: Sequence[T]) -> T:
        """Return the one of ``choices`` that this fault's luck falls on."""
        return choices[int(self.luck * len(choices))]

    def __str__(self) -> str:
        return f"{self.kind} {self.post} for {self.lasting:.1f} s"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long faults last, and how soon another follows; in seconds."""

    lasting: tuple[float, ...]
    #: Of a whole server, that stands still or is away.
    outages: tuple[float, ...]
    pause: tuple[float, float]

    def fault(self, kind: Kind, post: str, dice: random.Random, *, due: bool = False) -> Fault:
        """Return one fault."""
        lasting = dice.choice(self.outages if kind in OUTAGES else self.lasting)
        lasting *= dice.uniform(0.5, 1.3)
        return Fault(
            kind,
            post,
            0.0 if kind in MOMENTARY else lasting,
            dice.uniform(*self.pause),
            dice.random(),
            due,
        )


#: Shorter and longer than leases of 4 s and a liveness of 5 s, outages of up to half a minute.
ORDINARY = Pace((0.3, 2, 7), (1, 1, 6, 12, 23), (0.2, 3))
#: One of each within a minute.
BRISK = Pace((0.3, 1, 2), (0.5, 2, 7), (0.1, 0.8))
#: As many as possible.
HASTY = Pace((0.1, 0.3, 1), (0.3, 1, 2), (0.05, 0.5))


def sequence(
    seed: int,
    can: Mapping[str, tuple[Kind, ...]],
    *,
    only: Collection[Kind] = (),
    each_first: bool = False,
    pace: Pace = ORDINARY,
) -> Iterator[Fault]:
    """Return what is to go wrong, endlessly.

    Args:
        can: what can go wrong at each post; a post that is there for several is hit as often.
        only: leave all other kinds out.
        each_first: begin with one fault of each kind.
    """
    dice = random.Random(seed)
    choices = [(post, kind) for post, kinds in can.items() for kind in kinds]
    choices = [(post, kind) for post, kind in choices if not only or kind in only]
    if each_first:
        yield from _each(choices, dice)
    while choices:
        post, kind = dice.choice(choices)
        yield pace.fault(kind, post, dice)


def _each(choices: list[tuple[str, Kind]], dice: random.Random) -> Iterator[Fault]:
    kinds = sorted({kind for _, kind in choices})
    dice.shuffle(kinds)
    # Of what was accepted shortly before a stale replica was promoted, little can be said.
    for kind in sorted(kinds, key=lambda kind: kind is not Kind.STALE_REPLICA):
        post, _ = dice.choice([choice for choice in choices if choice[1] is kind])
        yield BRISK.fault(kind, post, dice, due=True)
