"""Short runs of what ``scripts/chaos`` does for as long as you like, on seeds of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.chaos.run import Plan, run

#: Of chaos, or longer until each kind of fault has come once; recovery and quiet come on top.
SECONDS = 40


@pytest.mark.timeout(480)
@pytest.mark.parametrize(("broker", "seed"), [("redis", 1), ("rabbitmq", 2)])
def test_whatever_goes_wrong_every_promise_is_kept(broker: str, seed: int, tmp_path: Path) -> None:
    """Nothing is lost, forgotten, run beside itself or again, or settled by a stale holder."""
    plan = Plan(broker=broker, seed=seed, seconds=SECONDS, each_first=True)
    outcome = run(plan, tmp_path)

    print(outcome.summary)
    assert not outcome.found, outcome.story() + "\n" + outcome.summary
    # Everything did go wrong, and work was done all the same.
    assert outcome.faults.keys() == outcome.possible
    assert sum(job.status == "completed" for job in outcome.history.jobs.values()) >= 50
