"""A worker is killed between each pair of steps: the job ends once, and is heard of once."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from tests.acceptance.faults.conftest import Faulty
from tests.acceptance.faults.points import arm
from tests.acceptance.spine.services import Work, happened, work
from tests.support.processes import Worker
from tests.support.waiting import until

#: Where the worker dies: attempts that are counted, and how often the handler begins.
STEPS = {
    # The message has arrived; nobody holds the job yet.
    "received": (1, 1),
    # The job is held, and nothing of it has run.
    "claimed": (2, 1),
    # The handler has returned; nobody knows its output.
    "handled": (2, 2),
    # Output, state and result event are stored; nothing is published.
    "settled": (1, 1),
    # The result event is published and still in the outbox: it is published twice.
    "published": (1, 1),
    # Only the message is left, which Celery has not acknowledged yet.
    "cleared": (1, 1),
    "acknowledging": (1, 1),
    # The broker may or may not have heard of it.
    "acknowledged": (1, 1),
}
#: After these its message is still with the broker, and comes again.
LEFTOVERS = {"settled", "published", "cleared", "acknowledging"}


def living(crew: Faulty) -> list[Worker]:
    return [worker for worker in crew.stage.workers if worker.process.poll() is None]


def crewed(crew: Faulty) -> None:
    """See to it that two workers are there."""
    for _ in range(2 - len(living(crew))):
        crew.worker(wait=False)
    for worker in living(crew):
        worker.ready()


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_dies_between_two_steps(crew: Faulty, step: str) -> None:
    """Its job completes in another worker; what was done already is not done again."""
    attempts, starts = STEPS[step]
    crewed(crew)
    reached = arm(crew.stage.directory, step)

    job_id = crew.enqueue().job_id

    until(reached.exists, lambda: f"{step} is reached; {crew.logs()}")
    status = crew.client.wait(job_id, 30)
    assert (status.status, status.attempt) == ("completed", attempts)
    assert len(crew.traced("start", job_id)) == starts
    crew.await_trace("completed", f"{job_id}:success")
    if step in LEFTOVERS:
        refused = f"Job {job_id} of {work.name} is not run: settled"
        until(lambda: any(refused in w.text for w in living(crew)), f"its message comes: {refused}")
    dead = [w for w in crew.stage.workers if w.process.poll() == -signal.SIGKILL]
    assert len(dead) == sum(path.name.startswith("reached-") for path in reached.parent.iterdir())


@pytest.mark.parametrize("step", ["due", "offered"])
def test_a_stager_that_dies_while_it_offers(crew: Faulty, step: str) -> None:
    """A delayed job whose time has come is neither lost before its offer nor run twice after it."""
    crewed(crew)
    reached = arm(crew.stage.directory, step)

    job_id = crew.enqueue(delay=timedelta(milliseconds=100)).job_id

    until(reached.exists, lambda: f"{step} is reached; {crew.logs()}")
    assert crew.client.wait(job_id, 30).status == "completed"
    assert len(crew.traced("start", job_id)) == 1
    crew.await_trace("completed", f"{job_id}:success")


def test_a_router_that_dies_between_storing_and_acknowledging(crew: Faulty) -> None:
    """The event comes again and is the job that it was: its binding makes two jobs, not four."""
    crewed(crew)
    reached = arm(crew.stage.directory, "stored")

    event = crew.client.emit(happened, Work(n=7000))

    until(reached.exists, lambda: f"the event is stored; {crew.logs()}")
    crew.await_trace("start", "70001")
    crew.await_trace("start", "70002")
    binding = f"sub.spine.1.eventToQueue:{happened.name}:{work.name}"
    assert crew.client.metrics(binding).completed == 1, event.id
    assert len(crew.traced("start", "70001") + crew.traced("start", "70002")) == 2


def test_what_has_completed_was_heard_of_once_whatever_died(crew: Faulty) -> None:
    """After all of these deaths no job has started again, and no result event became two jobs."""
    crewed(crew)
    last = crew.enqueue().job_id
    assert crew.client.wait(last, 30).status == "completed"
    crew.await_trace("completed", f"{last}:success")

    heard = [line[3] for line in crew.traced("completed")]
    assert len(heard) == len(set(heard))
    for job_id in {line[3] for line in crew.traced("end")}:
        ended = crew.client.job(job_id).completed_at
        assert ended is not None
        # The ledger's clock has whole milliseconds.
        late = [s for s in crew.traced("start", job_id) if float(s[0]) > ended.timestamp() + 0.001]
        assert late == [], job_id
