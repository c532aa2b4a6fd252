"""One run: a world, faults and producers for a while, then quiet, then the check."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.chaos.check import Violation, violations
from tests.acceptance.chaos.driver import Driver
from tests.acceptance.chaos.faults import sequence
from tests.acceptance.chaos.history import RESULT_HEARERS, History
from tests.acceptance.chaos.outcome import Outcome
from tests.acceptance.chaos.producers import Producer
from tests.acceptance.chaos.world import World, world
from tests.support.waiting import until

PRODUCERS = 3
#: Seconds within which all must be well again after the last fault; every lease ends in less.
RECOVERY = 90
#: Seconds of quiet in which nothing may happen any more: longer than a lease and a lost grace.
QUIET = 7


def run(
    broker: str,
    seed: int,
    seconds: float,
    directory: Path,
    tell: Callable[[str], None] = print,
) -> Outcome:
    """Let things go wrong for ``seconds``, and return what came of it."""
    with world(broker, directory) as made:
        producers = [
            Producer(made.app, made.book, seed * 100 + number) for number in range(PRODUCERS)
        ]
        driver = Driver(made.posts, tell)
        for producer in producers:
            producer.start()
        until(lambda: _works(made), "each subscription has heard something", timeout=120)
        if made.rabbit is not None:
            # RabbitMQ 3.10 may leave a quorum queue without a leader for good if it is killed
            # within seconds of the queue's declaration, before it has stopped in good order once.
            made.rabbit.stop()
            made.rabbit.start()
        driver.drive(sequence(seed, made.faults), seconds)
        mended = time.time()
        for producer in producers:
            producer.stop()
            if producer.failure is not None:
                raise producer.failure
        history, found = _recovered(made, tell)
        return Outcome(
            broker=broker,
            seed=seed,
            seconds=seconds,
            history=history,
            found=found,
            faults=driver.done,
            refused=made.book.refused,
            recovery=time.time() - mended - QUIET,
        )


def _works(made: World) -> bool:
    heard = {each.subscription for each in made.history(time.time()).heard}
    return heard >= {*RESULT_HEARERS, "happened", "ticked"}


def _recovered(made: World, tell: Callable[[str], None]) -> tuple[History, list[Violation]]:
    """Wait until all is well and stays so, or until it should be."""
    ended = time.time()
    while True:
        history = made.history(ended)
        found = violations(history)
        # A crash stays a crash; the rest is waited for.
        if all(violation.kind == "crash" for violation in found):
            time.sleep(QUIET)
            history = made.history(ended)
            return history, violations(history)
        if time.time() - ended > RECOVERY:
            return history, found
        tell(f"not well yet: {dict(Counter(violation.kind for violation in found))}")
        time.sleep(2)
