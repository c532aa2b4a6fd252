"""One run: a world, faults and producers for a while, then quiet, then the check."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.chaos.check import violations
from tests.acceptance.chaos.driver import Driver
from tests.acceptance.chaos.faults import HASTY, ORDINARY, sequence
from tests.acceptance.chaos.history import RESULT_HEARERS, History
from tests.acceptance.chaos.kinds import Kind
from tests.acceptance.chaos.outcome import Outcome
from tests.acceptance.chaos.producers import Producer
from tests.acceptance.chaos.violation import Violation
from tests.acceptance.chaos.world import World, world
from tests.support.waiting import until

PRODUCERS = 3
#: Seconds without anything becoming better after which it counts as bad; every lease ends in less.
RECOVERY = 90
#: Seconds of quiet in which nothing may happen any more: longer than a lease and a lost grace.
QUIET = 7
#: What time may heal; all else has happened, and stays.
HEALING = frozenset({"lost", "forgotten", "unheard", "event lost", "untrue", "tick", "left"})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to go wrong."""

    broker: str
    seed: int
    seconds: float
    #: Instead of ``seconds``: so many faults, as fast as they can follow each other.
    count: int | None = None
    #: These alone.
    only: tuple[Kind, ...] = ()
    #: Begin with one fault of each kind.
    each_first: bool = False
    #: Posts that stay empty.
    without: tuple[str, ...] = ()


def run(plan: Plan, directory: Path, tell: Callable[[str], None] = print) -> Outcome:
    """Let things go wrong as planned, and return what came of it."""
    tell(f"seed {plan.seed} on {plan.broker}; logs and trace are in {directory}")
    with world(plan.broker, directory, plan.without) as made:
        driver = Driver(made.posts, tell, ordeals=made.ordeals)
        producers = [
            Producer(made.app, made.book, plan.seed * 100 + number) for number in range(PRODUCERS)
        ]
        for producer in producers:
            producer.start()
        until(lambda: _works(made), f"all is heard; logs are in {directory}", timeout=120)
        if made.rabbit is not None:
            # RabbitMQ 3.10 may leave a quorum queue without a leader for good if it is killed
            # within seconds of the queue's declaration, before it has stopped in good order once.
            made.rabbit.stop()
            made.rabbit.start()
            restarted = time.time()
            until(lambda: _works(made, restarted), f"all is heard again; {directory}", timeout=120)
        made.sampler.start()
        began = time.time()
        _drive(driver, plan, made.faults)
        mended = time.time()
        for producer in producers:
            producer.stop()
        made.calm()
        history, found = _recovered(made, tell)
        return Outcome(
            broker=plan.broker,
            seed=plan.seed,
            seconds=mended - began,
            history=history,
            found=found,
            faults=driver.done,
            refused=made.book.refused,
            recovery=time.time() - mended - QUIET,
            possible=frozenset(kind for kinds in made.faults.values() for kind in kinds),
            directory=directory,
        )


def _drive(driver: Driver, plan: Plan, can: dict[str, tuple[Kind, ...]]) -> None:
    pace = ORDINARY if plan.count is None else HASTY
    faults = sequence(plan.seed, can, only=plan.only, each_first=plan.each_first, pace=pace)
    if plan.count is None:
        driver.drive(faults, plan.seconds)
    else:
        counted = itertools.takewhile(lambda _: driver.done.total() < (plan.count or 0), faults)
        driver.drive(counted, float("inf"))


def _works(made: World, since: float = 0.0) -> bool:
    heard = {e.subscription for e in made.history(time.time()).heard if e.at > since}
    return heard >= {*RESULT_HEARERS, "happened", *(["ticked"] if "beat" in made.posts else ())}


def _recovered(made: World, tell: Callable[[str], None]) -> tuple[History, list[Violation]]:
    """Wait until all is well and stays so, or until it should be.

    A backlog takes as long as it takes, so what counts is how long nothing has become better.
    """
    ended = better = time.time()
    least: int | None = None
    while True:
        history = made.history(ended, at_rest=True)
        found = violations(history)
        healing = Counter(violation.kind for violation in found if violation.kind in HEALING)
        if not healing:
            made.sampler.stop()
            time.sleep(QUIET)
            history = made.history(ended, at_rest=True)
            return history, violations(history)
        if least is None or healing.total() < least:
            least, better = healing.total(), time.time()
        if time.time() - better > RECOVERY:
            return history, found
        tell(f"not well yet: {dict(healing)}")
        time.sleep(2)
