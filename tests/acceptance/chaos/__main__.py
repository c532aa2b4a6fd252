"""``scripts/chaos``: things go wrong for minutes, on a seed of your choice; status 0 is good."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.acceptance.chaos.drain import drain
from tests.acceptance.chaos.kinds import GROUPS, named
from tests.acceptance.chaos.run import Plan, run
from tests.acceptance.chaos.site import BROKERS, PLACES


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--broker", choices=BROKERS, default="redis")
    parser.add_argument(
        "--kinds", type=named, default=(), help=f"these alone, or groups: {', '.join(GROUPS)}"
    )
    parser.add_argument("--each", action="store_true", help="begin with one fault of each kind")
    parser.add_argument(
        "--count", type=int, help="instead of minutes: so many faults in fast succession"
    )
    parser.add_argument(
        "--without", default="", help=f"posts that stay empty, of {', '.join(PLACES)}"
    )
    parser.add_argument(
        "--drain",
        nargs=2,
        type=int,
        metavar=("JOBS", "KILLS"),
        help="instead: kill so many whole workers while they drain so many jobs on Redis",
    )
    given = parser.parse_args()
    # An end that is asked for tears the servers and processes down, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = Path(tempfile.mkdtemp(prefix="purista-chaos-"))
    if given.drain:
        jobs, kills = given.drain
        outcome = drain(jobs, kills, given.seed, directory)
    else:
        plan = Plan(
            broker=given.broker,
            seed=given.seed,
            seconds=given.minutes * 60,
            count=given.count,
            only=given.kinds,
            each_first=given.each,
            without=tuple(given.without.split(",")),
        )
        outcome = run(plan, directory, _tell)
    if outcome.found:
        print(outcome.story())
    print(outcome.summary)
    return 1 if outcome.found else 0


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
