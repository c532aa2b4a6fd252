"""Several workers maintain the same queues at once: each job is offered once."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

from purista_celery import Enqueue
from purista_celery.ledger.keys import heard_key
from purista_celery.ledger.ledger import Ledger
from purista_celery.runtime.rescuer import Rescuer
from purista_celery.runtime.stager import Stager
from tests.acceptance.faults.conftest import Faulty, compiled
from tests.acceptance.spine.services import Work, work
from tests.support.waiting import until

JOBS = 300


def heard(ledger: Ledger) -> None:
    """Let workers have been heard from for long."""
    now = ledger.workers.now_ms()
    ledger.client.hset(heard_key(ledger.namespace), mapping={"since": now - 60_000, "last": now})


def maintained_by_two(faults: Faulty, done: str) -> None:
    """Let two workers' maintenance, each with connections of its own, look until all is done."""
    stage = faults.stage
    ledger = faults.app.purista_runtime.ledger
    source = getattr(ledger.keys(work.name), done)
    heard(ledger)
    apps = [compiled(stage, stage.broker_url, stage.ledger_url) for _ in range(2)]
    start = threading.Barrier(2)

    def look_after(app: object) -> None:
        stager = Stager(app.purista_runtime)  # type: ignore[attr-defined]
        rescuer = Rescuer(app.purista_runtime, print, lambda: None)  # type: ignore[attr-defined]
        start.wait()
        until(lambda: looked(rescuer, stager), "all are offered")
        stager.close()

    def looked(rescuer: Rescuer, stager: Stager) -> bool:
        # Other workers are heard all the while.
        ledger.workers.announce("other", timedelta(seconds=15))
        busy = rescuer.look() or stager.look()
        return not busy and not ledger.client.zcard(source)

    threads = [threading.Thread(target=look_after, args=(app,)) for app in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for app in apps:
        app.close()
        app.purista_runtime.ledger.client.close()


def offered(faults: Faulty) -> Counter[str]:
    """Take all messages from the broker queue, and count them by job."""
    name = f"{faults.stage.namespace}.job.{work.name}"
    found: Counter[str] = Counter()
    with faults.app.connection_for_write() as connection, connection.channel() as channel:
        while (message := channel.basic_get(name, no_ack=True)) is not None:
            found[message.headers["id"]] += 1
    return found


def test_what_is_due_is_offered_once(faults: Faulty) -> None:
    """Jobs whose delay has passed: one message each."""
    jobs = [Enqueue(Work(n=n), delay=timedelta(milliseconds=1)) for n in range(JOBS)]
    ids = [receipt.job_id for receipt in faults.client.enqueue_many(work, jobs)]

    maintained_by_two(faults, "scheduled")

    assert offered(faults) == dict.fromkeys(ids, 1)


def test_what_a_dead_worker_held_is_settled_and_offered_once(faults: Faulty) -> None:
    """Jobs whose lease has passed: one attempt is counted, and there is one message each."""
    ids = [r.job_id for r in faults.client.enqueue_many(work, [Enqueue(Work())] * JOBS)]
    assert offered(faults) == dict.fromkeys(ids, 1)
    ledger = faults.app.purista_runtime.ledger
    for number, job_id in enumerate(ids):
        ledger.claim(
            work.name,
            job_id,
            fence=f"gone/{number}",
            worker="gone",
            lease=timedelta(milliseconds=1),
            longest_hold=timedelta(minutes=1),
        )

    maintained_by_two(faults, "leased")

    assert offered(faults) == dict.fromkeys(ids, 1)
    assert {faults.client.job(job_id).attempt for job_id in ids} == {1}
    assert faults.client.metrics(work).retries == JOBS
