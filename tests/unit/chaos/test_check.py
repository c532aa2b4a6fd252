"""The checker finds each broken promise in a history that has it, and none in one that has not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from purista_celery import JobStatus
from tests.acceptance.chaos.check import violations
from tests.acceptance.chaos.history import (
    RESULT_HEARERS,
    Accepted,
    Heard,
    History,
    Ordeal,
    Run,
    Sample,
    read_accepted,
    read_trace,
)
from tests.acceptance.chaos.kinds import Kind

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
T = BEGAN.timestamp()


def job(job_id: str = "j", status: str = "completed", **fields: Any) -> JobStatus:
    """A record as the ledger keeps it at the end; a completed one ended at T + 10."""
    times = {"completed_at": datetime.fromtimestamp(T + 10, UTC)} if status == "completed" else {}
    known: dict[str, Any] = {
        "queue_name": "chaos.steady",
        "attempt": 1,
        "max_attempts": 3,
        "created_at": BEGAN,
        "updated_at": BEGAN,
        **times,
        **fields,
    }
    return JobStatus(job_id=job_id, status=status, **known)  # type: ignore[arg-type]


def ran(attempt: int, fence: str, began: float, ended: float | None, outcome: str | None) -> Run:
    post = f"worker-{fence}"
    return Run("j", attempt, fence, T + began, None if ended is None else T + ended, outcome, post)


def befell(kind: Kind, post: str, began: float, ended: float) -> Ordeal:
    return Ordeal(kind, post, T + began, T + ended)


def samples(queue: str, *counts: tuple[float, int, int]) -> tuple[Sample, ...]:
    """Each a moment, with the messages and the open jobs that there were then."""
    return tuple(Sample(T + at, queue, messages, jobs) for at, messages, jobs in counts)


def heard(event_id: str, *, by: Iterable[str] = RESULT_HEARERS, job_id: str = "s") -> list[Heard]:
    return [Heard(each, event_id, f"{job_id}-{each}", T + 11) for each in by]


def kinds(history: History) -> set[str]:
    return {violation.kind for violation in violations(history)}


GOOD = History(
    accepted=(Accepted("j", T, key="k", due=T + 1), Accepted("j", T + 1, key="k")),
    emitted=("e",),
    runs=(
        # Its worker was killed; the next was frozen beyond its lease; the third completed.
        ran(1, "a", 1, None, None),
        ran(2, "b", 5, 12, "lease_lost"),
        ran(3, "c", 8, 9.9, "completed"),
    ),
    heard=(
        *heard("j:success"),
        *heard("bound:failed"),
        *heard("bound:dead-lettered"),
        *heard("gone:cancelled"),
        # The same job of the subscription ran twice, because its worker died.
        *heard("e", by=["happened"]),
        *heard("e", by=["happened"]),
        *(Heard("ticked", f"t{n}", f"t{n}", T + n, occurrence=T + n) for n in range(4)),
    ),
    jobs={
        "j": job(queue_name="chaos.brief", attempt=3, output={"fence": "c"}),
        "bound": job(
            "bound", "deadLetter", queue_name="chaos.brief", reason="x", payload={"source": "e"}
        ),
        "gone": job("gone", "cancelled", queue_name="chaos.brief"),
    },
    ticking=(T, T + 3.5),
    ordeals=(befell(Kind.FREEZE, "worker-b", 5.5, 11),),
    # Each waits with its message, and fifty copies are in flight; then the jobs end first.
    samples=samples("chaos.brief", (1, 150, 100), (2, 120, 0), (18, 0, 0)),
)


def test_a_history_of_kept_promises_has_no_violation() -> None:
    """Kills, freezes and repeats that ended well are none."""
    assert violations(GOOD) == []


def with_jobs(**jobs: JobStatus) -> History:
    return replace(GOOD, jobs={**GOOD.jobs, **jobs})


def without(event_id: str, subscription: str) -> History:
    left = [h for h in GOOD.heard if (h.event_id, h.subscription) != (event_id, subscription)]
    return replace(GOOD, heard=tuple(left))


def queued(began: float, first: str = "completed", partition: str = "p") -> History:
    """Two jobs of the ordered queue; the first ended at T + 10, the second began then."""
    payload: dict[str, Any] = {"queue_name": "chaos.ordered", "payload": {"partition": partition}}
    later: dict[str, Any] = {
        "created_at": datetime.fromtimestamp(T + 1, UTC),
        "payload": {"partition": "p"},
    }
    jobs = {"o1": job("o1", first, **payload), "o2": job("o2", **{**payload, **later})}
    runs = (*GOOD.runs, Run("o2", 1, "o", T + began))
    return replace(GOOD, jobs={**GOOD.jobs, **jobs}, runs=runs)


@pytest.mark.parametrize("history", [queued(began=10), queued(began=1, partition="other")])
def test_jobs_in_their_turn_are_in_order(history: History) -> None:
    """One begins when the one before it has ended, or beside one of another partition."""
    assert "disorder" not in kinds(history)


BROKEN: list[tuple[str, History]] = [
    ("lost", replace(GOOD, accepted=(*GOOD.accepted, Accepted("nowhere", T)))),
    ("forgotten", with_jobs(waits=job("waits", "pending"))),
    ("forgotten", with_jobs(held=job("held", "inFlight"))),
    ("unexplained", with_jobs(dead=job("dead", "deadLetter"))),
    # An attempt after the one that completed, whenever it began.
    ("rerun", replace(GOOD, runs=(*GOOD.runs, ran(4, "d", 11, None, None)))),
    # The attempt that completed begins once more.
    ("rerun", replace(GOOD, runs=(*GOOD.runs, ran(3, "d", 11, None, None)))),
    # The frozen attempt's retry was taken although the third had begun.
    (
        "stale",
        replace(GOOD, runs=(GOOD.runs[0], ran(2, "b", 5, 9, "retried"), GOOD.runs[2])),
    ),
    # Two attempts completed.
    (
        "stale",
        replace(GOOD, runs=(ran(1, "a", 1, 2, "completed"), *GOOD.runs[1:])),
    ),
    # The output is that of an attempt whose settle was refused.
    (
        "stale",
        with_jobs(j=job(queue_name="chaos.brief", attempt=3, output={"fence": "b"})),
    ),
    ("early", replace(GOOD, runs=(ran(1, "z", 0.5, None, None), *GOOD.runs))),
    ("duplicate", replace(GOOD, accepted=(*GOOD.accepted, Accepted("bound", T, key="k")))),
    # The second of a partition begins before the first has ended.
    ("disorder", queued(began=9)),
    ("disorder", queued(began=11, first="pending")),
    ("unheard", without("j:success", "first")),
    ("unheard", without("bound:dead-lettered", "second")),
    ("unheard", without("gone:cancelled", "second")),
    # Heard of a success that the ledger knows nothing of.
    ("untrue", replace(GOOD, heard=(*GOOD.heard, *heard("gone:success")))),
    # One event became two jobs of one subscription.
    ("repeated", replace(GOOD, heard=(*GOOD.heard, *heard("j:success", job_id="other")))),
    ("repeated", replace(GOOD, heard=(*GOOD.heard, *heard("e", by=["happened"], job_id="x")))),
    ("event lost", without("e", "happened")),
    ("event lost", replace(GOOD, emitted=("e", "never-bound"))),
    ("duplicate", with_jobs(twin=job("twin", queue_name="chaos.brief", payload={"source": "e"}))),
    ("tick", without("t2", "ticked")),
    # The last second's occurrence is late for good.
    ("tick", replace(GOOD, ticking=(T, T + 6))),
    (
        "tick",
        replace(GOOD, heard=(*GOOD.heard, Heard("ticked", "t9", "t9", T, occurrence=T + 1))),
    ),
    ("crash", replace(GOOD, crashes=("worker-1.log: ended by itself",))),
    ("raw", replace(GOOD, raw=("ResponseError: BUSY",))),
    # The same attempt again, although its worker was not asked to end.
    ("unpaid", replace(GOOD, runs=(ran(1, "z", 0.9, None, None), *GOOD.runs))),
    # More messages than jobs, prefetched ones and copies, at some time or at the end.
    ("flood", replace(GOOD, samples=samples("chaos.steady", (1, 151, 100)))),
    ("flood", replace(GOOD, samples=samples("chaos.steady", (1, 0, 100), (17, 51, 0)))),
    ("left", replace(GOOD, left={"n.job.chaos.steady": 1})),
]


@pytest.mark.parametrize(("kind", "history"), BROKEN)
def test_each_broken_promise_is_found(kind: str, history: History) -> None:
    """It is found as what it is."""
    assert kind in kinds(history)


def test_a_frozen_attempt_that_begins_late_is_no_rerun() -> None:
    """It was granted before; what it does is refused, and its number is lower."""
    late = ran(2, "b", 11, 12, "lease_lost")
    assert violations(replace(GOOD, runs=(GOOD.runs[0], late, GOOD.runs[2]))) == []


def beside(*ordeals: Ordeal, queue: str = "chaos.steady", began: float = 8) -> History:
    """The first attempt goes on from T + 2 until T + 12, as another begins."""
    runs = (ran(1, "a", 2, 12, None), ran(2, "b", began, 9, "completed"))
    of_queue = job(queue_name=queue, attempt=2, output={"fence": "b"})
    heard_of = heard("j:success") if queue == "chaos.brief" else []
    return History(jobs={"j": of_queue}, runs=runs, ordeals=ordeals, heard=tuple(heard_of))


LIVING = [
    beside(),
    # Connections that were lost, and lines that were cut for a moment, are no death.
    beside(befell(Kind.RESET_LINES, "worker-a", 7, 7)),
    beside(befell(Kind.KILL_PUBSUB, "redis", 7, 7)),
    beside(befell(Kind.CUT_LEDGER, "worker-a", 7, 8), queue="chaos.brief"),
    # Longer than the other queue's lease.
    beside(befell(Kind.CUT_LEDGER, "worker-a", 5.5, 8)),
    # It ended long before the run began, or came after its successor.
    beside(befell(Kind.FREEZE, "worker-a", -9, -1)),
    beside(befell(Kind.FREEZE, "worker-a", 8.1, 20)),
    # It befell somebody else.
    beside(befell(Kind.FREEZE, "worker-c", 2, 9)),
    # Without a broker a worker lives, and while nobody reaches the ledger.
    beside(befell(Kind.HANG_BROKER, "worker-a", 2, 9)),
    beside(befell(Kind.FREEZE_SERVER, "redis", 2, 8), befell(Kind.BUSY, "redis", 8, 9)),
    # It is asked to end, and does so after its jobs.
    beside(befell(Kind.TERMINATE, "worker-a", 3, 12)),
    beside(befell(Kind.KILL_CHILD, "worker-a", 7, 7)),
]


@pytest.mark.parametrize("history", LIVING)
def test_a_job_of_a_living_worker_is_not_run_beside_itself(history: History) -> None:
    """Whatever befalls connections, servers and others: the worker lives."""
    assert kinds(history) == {"beside"}


DEAD = [
    beside(befell(Kind.FREEZE, "worker-a", 4, 9)),
    beside(befell(Kind.HANG_LEDGER, "worker-a", 5, 8), queue="chaos.brief"),
    beside(befell(Kind.KILL_MAIN, "worker-a", 7.9, 8)),
    # The ledger was away, and the worker's own line after that.
    beside(befell(Kind.STOP_SERVER, "redis", 3, 6), befell(Kind.CUT_LEDGER, "worker-a", 6.5, 8)),
    # The first has ended.
    beside(began=12),
]


@pytest.mark.parametrize("history", DEAD)
def test_a_job_of_a_dead_worker_moves_on(history: History) -> None:
    """A worker of which nobody has heard for as long as its lease or liveness is dead."""
    assert "beside" not in kinds(history)


def test_an_outcome_of_a_living_worker_is_taken() -> None:
    """Unless the job was to be cancelled, or its worker was silent for too long."""
    lost = (ran(1, "a", 2, 7, "lease_lost"), ran(2, "b", 8, 9, "completed"))
    history = replace(beside(), runs=lost)
    assert kinds(history) == {"dropped"}
    assert kinds(replace(history, cancelled=(("j", T + 3),))) == set()
    assert kinds(replace(history, ordeals=(befell(Kind.FREEZE, "worker-a", 3, 6.5),))) == set()


def test_an_attempt_that_was_given_back_may_begin_again() -> None:
    """Its worker was asked to end; the attempt does not count."""
    ending = befell(Kind.TERMINATE, "worker-z", 0.95, 1.5)
    runs = (ran(1, "z", 0.9, 0.99, "WorkerShutdown"), *GOOD.runs)
    history = replace(GOOD, accepted=(), runs=runs, ordeals=(*GOOD.ordeals, ending))
    assert violations(history) == []


LAG = befell(Kind.STALE_REPLICA, "redis", 60, 62)


def test_what_a_promoted_replica_never_heard_of_is_not_to_be_found() -> None:
    """Neither jobs nor keys nor events of the time of its lag; all others are."""
    gone = Accepted("gone", T + 61, key="k")
    history = replace(
        GOOD,
        accepted=(*GOOD.accepted, gone),
        emitted=("e", "f"),
        emitted_at={"f": T + 58},
        ordeals=(*GOOD.ordeals, LAG),
    )
    assert violations(history) == []
    before = replace(history, accepted=(*history.accepted, Accepted("before", T + 55)))
    assert kinds(before) == {"lost"}
    emitted = replace(history, emitted_at={"f": T + 3})
    assert kinds(emitted) == {"event lost"}


def test_what_ran_on_when_a_replica_was_promoted_is_kept() -> None:
    """Its worker knows it: the ledger that has lost the record gets it anew."""
    ended = Run("kept", 1, "y", T + 61, T + 65, "completed")
    accepted = (*GOOD.accepted, Accepted("kept", T + 60.5))
    history = replace(
        GOOD, accepted=accepted, runs=(*GOOD.runs, ended), ordeals=(*GOOD.ordeals, LAG)
    )
    assert kinds(history) == {"lost"}


def test_a_message_that_was_none_of_ours_is_kept_without_an_outcome() -> None:
    """It is a dead letter that nobody hears of, and stands in no line."""
    raw = {"raw": "NQ==", "reason": "undecodable"}
    parked = {
        queue: job(queue, "deadLetter", queue_name=queue, **raw)
        for queue in ("chaos.brief", "chaos.ordered")
    }
    assert violations(replace(GOOD, jobs={**GOOD.jobs, **parked})) == []


def test_a_trace_is_read_as_runs_and_events() -> None:
    """Lines of all processes, interleaved; a killed run has neither end nor outcome."""
    runs, events = read_trace(
        [
            "0.5 10 accepted k ok",
            "1.0 11 start j 1 a worker1",
            "2.0 12 start j 2 b",
            "2.5 12 heard first e s 7.0",
            "2.6 12 heard first f s -",
            "3.0 12 end j 2 b",
            "3.1 12 settled j b completed",
            "3.2 13 settled j refused-before-it-began held",
        ]
    )
    assert runs == (
        Run("j", 1, "a", 1.0, post="worker1"),
        Run("j", 2, "b", 2.0, ended=3.0, outcome="completed", settled=3.1),
    )
    assert events == (
        Heard("first", "e", "s", 2.5, occurrence=7.0),
        Heard("first", "f", "s", 2.6),
    )


def test_receipts_of_other_processes_are_read_from_the_trace() -> None:
    """Those of producers that run nothing."""
    lines = ["0.5 10 accepted k ok", "0.6 10 refused PURISTA_X", "1.0 11 start j 1 a"]
    assert read_accepted(lines) == (Accepted("k", 0.5),)


def test_a_timeline_tells_a_jobs_life_in_order() -> None:
    """What a violation is printed with."""
    lines = GOOD.timeline("j")
    assert "accepted" in lines[0]
    assert "attempt 1 as a at worker-a, never ended" in lines[2]
    assert "attempt 2 as b at worker-b, 7.000 s: lease_lost" in lines[3]
    assert "(freeze worker-b for 5.500 s)" in lines[4]
    assert "hears j:success" in "\n".join(lines)
    assert lines[-1].startswith("in the end: JobStatus")
