"""Faults are values, and what is to go wrong is a sequence of them that a seed decides."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can go wrong."""

    #: SIGKILL of a process and all its children.
    KILL = "kill"
    #: SIGTERM, and a wait for its end in good order.
    TERMINATE = "terminate"
    #: SIGSTOP, and SIGCONT later.
    FREEZE = "freeze"
    #: SIGKILL of one pool process, as the kernel does when memory runs out.
    KILL_CHILD = "kill child"
    #: SIGKILL of a worker's main process alone.
    KILL_MAIN = "kill main"
    #: Connections end, and new ones are refused.
    CUT_BROKER = "cut broker"
    CUT_LEDGER = "cut ledger"
    #: Connections stand and say nothing.
    HANG_BROKER = "hang broker"
    HANG_LEDGER = "hang ledger"
    #: A server stops in good order, or is killed; it starts again with its files.
    STOP_SERVER = "stop server"
    KILL_SERVER = "kill server"


LINES = (Kind.CUT_BROKER, Kind.CUT_LEDGER, Kind.HANG_BROKER, Kind.HANG_LEDGER)
OF_A_WORKER = (
    *(Kind.KILL, Kind.TERMINATE, Kind.FREEZE, Kind.KILL_CHILD, Kind.KILL_CHILD, Kind.KILL_MAIN),
    *LINES,
)
OF_A_BEAT = (Kind.KILL, Kind.TERMINATE, Kind.FREEZE, *LINES)
OF_A_SERVER = (Kind.STOP_SERVER, Kind.KILL_SERVER)


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

    def excludes(self, other: Fault) -> bool:
        """Tell whether both can not be under way: a post has one process, and one pair of lines."""
        return self.post == other.post and (self.kind in LINES) == (other.kind in LINES)

    def __str__(self) -> str:
        return f"{self.kind} {self.post} for {self.lasting:.1f} s"


def sequence(seed: int, can: dict[str, tuple[Kind, ...]]) -> Iterator[Fault]:
    """Return what is to go wrong, endlessly.

    Args:
        can: what can go wrong at each post; a post that is there for several is hit as often.
    """
    dice = random.Random(seed)
    choices = [(post, kind) for post, kinds in can.items() for kind in kinds]
    while True:
        post, kind = dice.choice(choices)
        # Shorter and longer than leases of 4 s and a liveness of 5 s.
        yield Fault(
            kind, post, dice.choice((0.3, 2, 7)) * dice.uniform(0.5, 1.3), dice.uniform(0.2, 3)
        )
