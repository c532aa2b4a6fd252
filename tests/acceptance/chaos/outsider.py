"""A producer process that knows the contracts and runs nothing: ``python -m …chaos.outsider``."""

from __future__ import annotations

import random
import time

from purista_celery import compile_app
from purista_celery.errors import BrokerUnavailable, LedgerUnavailable
from tests.acceptance.chaos.contracts import Work, brief, service, steady
from tests.acceptance.spine.services import trace

#: Seconds between two calls.
PAUSE = 0.6
#: Unfinished jobs at which it waits.
ENOUGH = 40


def main() -> None:
    """Enqueue until the process is ended, and trace each receipt."""
    client = compile_app([service]).purista
    dice = random.Random(0)
    while True:
        try:
            queue = dice.choice((brief, steady))
            if client.metrics(queue).pending < ENOUGH:
                receipt = client.enqueue(queue, Work(seconds=dice.random() * 0.3))
                trace("accepted", receipt.job_id, "ok")
        except (LedgerUnavailable, BrokerUnavailable) as error:
            trace("refused", error.code)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
