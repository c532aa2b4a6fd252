"""Faults come as the seed says, one at a time for each process and each pair of lines."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from tests.acceptance.chaos.driver import Driver
from tests.acceptance.chaos.faults import BRISK, HASTY, Fault, sequence
from tests.acceptance.chaos.kinds import (
    LINES,
    MOMENTARY,
    OF_A_LEDGER,
    OF_A_PROCESS,
    OF_A_REDIS,
    OF_A_WORKER,
    REFUSALS,
    STALLS,
    Kind,
    named,
)

CAN = {
    "worker1": OF_A_WORKER,
    "beat": OF_A_PROCESS,
    "redis": (*OF_A_REDIS, *OF_A_LEDGER),
}


@dataclass
class Witness:
    """A post that writes down what is done to it; a warm shutdown takes two looks."""

    under_way: set[Kind] = field(default_factory=set)
    most: int = 0
    begun: int = 0
    kinds: tuple[Kind, ...] = ()
    #: How often there is nothing yet that a fault could befall.
    empty: int = 0
    _looks: Iterator[int] = field(default_factory=itertools.count)

    def begin(self, fault: Fault) -> bool:
        if self.empty > 0:
            self.empty -= 1
            return False
        self.under_way.add(fault.kind)
        self.begun += 1
        groups = [other in LINES for other in self.under_way]
        self.most = max(self.most, groups.count(True), groups.count(False))
        return True

    def mend(self, fault: Fault) -> bool:
        if fault.kind is Kind.TERMINATE and next(self._looks) % 2 == 0:
            return False
        self.under_way.remove(fault.kind)
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
        for fault in sequence(3, CAN, pace=BRISK)
    )
    driver = Driver(posts, tell=lambda _: None)

    driver.drive(hasty, 1.0)

    assert driver.done.total() == sum(post.begun for post in posts.values()) > 10
    assert all(post.under_way == set() for post in posts.values())
    assert all(post.most <= 1 for post in posts.values())
    assert Counter(each.kind for each in driver.ordeals) == driver.done
    assert all(each.began <= each.ended <= time.time() for each in driver.ordeals)


def test_what_is_due_is_waited_for() -> None:
    """One fault of each kind comes, even where they are in each other's way, or have to wait."""
    first = {Kind.STOP_SERVER, *REFUSALS}
    faults = [replace(BRISK.fault(k, "redis", random.Random(1)), lasting=0.05) for k in first]
    driver = Driver({"redis": Witness(empty=2)}, tell=lambda _: None)

    driver.drive(iter([replace(fault, due=True, pause=0) for fault in faults]), seconds=0)

    assert driver.done == Counter(first)


def test_each_kind_may_come_first() -> None:
    """Then a sequence begins with each once; a stale replica before all that it would excuse."""
    kinds = {kind for kinds in CAN.values() for kind in kinds}
    once = list(itertools.islice(sequence(1, CAN, each_first=True), len(kinds) + 1))
    assert once[0].kind is Kind.STALE_REPLICA
    assert [fault.due for fault in once] == [True] * len(kinds) + [False]
    assert {fault.kind for fault in once[:-1]} == kinds


def test_only_some_kinds_may_be_asked_for() -> None:
    """By their names, or by that of a group; a word that is neither is refused."""
    only = named("stalls, kill pubsub")
    assert only == (*STALLS, Kind.KILL_PUBSUB)
    asked = itertools.islice(sequence(1, CAN, only=only, pace=HASTY), 50)
    assert {fault.kind for fault in asked} == set(only)
    with pytest.raises(ValueError, match="stall"):
        named("stall")


def test_what_is_over_at_once_takes_no_time() -> None:
    """All else lasts, stalls for up to half a minute."""
    some = list(itertools.islice(sequence(1, CAN), 2000))
    assert {fault.lasting for fault in some if fault.kind in MOMENTARY} == {0}
    assert 25 < max(fault.lasting for fault in some if fault.kind in STALLS) < 30


def test_luck_decides_what_a_kind_leaves_open() -> None:
    """Each choice has its share of it."""
    found = [Fault(Kind.GARBAGE, "redis", 0, 0, luck).of("abc") for luck in (0, 0.34, 0.99)]
    assert found == ["a", "b", "c"]
