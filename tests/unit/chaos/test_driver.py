"""Faults come as the seed says, one at a time for each process and each pair of lines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.acceptance.chaos.driver import Driver
from tests.acceptance.chaos.faults import LINES, OF_A_BEAT, OF_A_SERVER, OF_A_WORKER, Kind, sequence

CAN = {"worker1": OF_A_WORKER, "beat": OF_A_BEAT, "redis": OF_A_SERVER}


@dataclass
class Witness:
    """A post that writes down what is done to it; a warm shutdown takes two looks."""

    under_way: set[Kind] = field(default_factory=set)
    most: int = 0
    begun: int = 0
    _looks: Iterator[int] = field(default_factory=itertools.count)

    def begin(self, kind: Kind) -> bool:
        self.under_way.add(kind)
        self.begun += 1
        groups = [other in LINES for other in self.under_way]
        self.most = max(self.most, groups.count(True), groups.count(False))
        return True

    def mend(self, kind: Kind) -> bool:
        if kind is Kind.TERMINATE and next(self._looks) % 2 == 0:
            return False
        self.under_way.remove(kind)
        return True


def test_a_seed_decides_what_goes_wrong() -> None:
    """The same again, something else for another; and only what can go wrong at a post."""
    once, again, other = (list(itertools.islice(sequence(s, CAN), 200)) for s in (1, 1, 2))
    assert once == again
    assert once != other
    assert {fault.post for fault in once} == set(CAN)
    assert all(fault.kind in CAN[fault.post] for fault in once)


def test_all_that_begins_is_mended_and_nothing_twice_at_once() -> None:
    """Also what is still under way when the time is over."""
    posts = {name: Witness() for name in CAN}
    hasty = (
        replace(fault, lasting=fault.lasting / 50, pause=fault.pause / 50)
        for fault in sequence(3, CAN)
    )
    driver = Driver(posts, tell=lambda _: None)

    driver.drive(hasty, 1.0)

    assert driver.done.total() == sum(post.begun for post in posts.values()) > 10
    assert all(post.under_way == set() for post in posts.values())
    assert all(post.most <= 1 for post in posts.values())
