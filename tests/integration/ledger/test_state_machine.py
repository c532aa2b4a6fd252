"""The ledger against a model of it in plain Python: any sequence of calls, on a real Redis.

The model knows a job's state, holder, attempts, lease and idempotency key, and time as whole hours
that a test lets pass for one job at a time. After every call the ledger's records, sorted sets and
counters must say what the model says.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from purista_celery.contracts.receipt import Receipt
from purista_celery.ledger.records import Verdict
from tests.integration.ledger.book import HOUR, NOW, STATES, Book

#: Long enough that a stager offers the job, whatever its grace.
FOREVER = 10**6
#: Leases last one hour and jobs are held for four at most; this much passes at once.
STEP = 2
WORKERS = ("w1", "w2", "w3")
ENDED = ("completed", "cancelled", "dead")
UNFINISHED = ("scheduled", "ready", "leased")
numbers = itertools.count(1)

pick = st.integers(0, 10_000)
workers = st.sampled_from(WORKERS)
delays = st.sampled_from([0, 1])
flags = st.booleans()
dead_or_none = st.sampled_from(["", *WORKERS])


def some(*states: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule that needs a job, in one of ``states`` if any are named."""
    return precondition(
        lambda machine: any(not states or j.state in states for j in machine.jobs.values())
    )


@dataclass
class ModelJob:
    """What the ledger should remember of one job."""

    id: str
    max_attempts: int
    key: str | None
    receipt: Receipt
    state: str
    #: Who holds it, or settled it.
    fence: str = ""
    #: Whose retry or release is answered as done when it is repeated.
    settled_by: str = ""
    attempt: int = 0
    lease: int = 0
    hold: int = 0
    #: Hours until it is due.
    due: int = 0
    #: Hours since it was seen.
    unseen: int = 0
    cancel_requested: bool = False
    checkpoint: Any = None
    #: The line that it stands in, while it does; whether it waits there for its turn.
    partition: str | None = None
    behind: bool = False
    #: The reason of its last failure, and of how many in a row.
    failed_for: str = ""
    failed_times: int = 0
    fences: list[str] = field(default_factory=list)

    @property
    def worker(self) -> str:
        return self.fence.partition("/")[0]

    def abandoned(self, dead_worker: str) -> bool:
        return self.lease <= 0 or self.worker == dead_worker

    def wait(self, delay: int) -> None:
        """Stand by for the next attempt."""
        self.state = "scheduled" if delay else "ready"
        self.due, self.unseen, self.fence, self.behind = delay, 0, "", False

    def fail(self, reason: str) -> None:
        """Count a failure that another attempt follows."""
        self.failed_times = self.failed_times + 1 if self.failed_for == reason else 1
        self.failed_for = reason


class LedgerMachine(RuleBasedStateMachine):
    """Calls the ledger, and says beforehand what it must answer."""

    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.book = Book(self.client, f"m{next(numbers)}")
        self.jobs: dict[str, ModelJob] = {}
        self.keys: dict[str, Receipt] = {}
        self.paused = False
        self.counts: Counter[str] = Counter()
        self.lines: dict[str, list[str]] = {"a": [], "b": []}
        self.ended: dict[str, dict[str, str]] = {}
        for _ in range(3):
            self.enqueue(delay=0, key=None, max_attempts=3, partition=None)

    def fence(self, worker: str) -> str:
        return f"{worker}/{next(numbers)}"

    def stale(self, job: ModelJob, number: int) -> str:
        """Return a fence that does not hold the job: an earlier one, if there is one."""
        others = [fence for fence in job.fences if fence not in (job.fence, job.settled_by)]
        return others[number % len(others)] if others else "nobody/0"

    def any_of(self, number: int, *states: str) -> ModelJob:
        """Return one of the jobs that are in one of ``states``, or in any."""
        found = [j for j in self.jobs.values() if not states or j.state in states]
        return found[number % len(found)]

    def join(self, job: ModelJob) -> None:
        """Stand in line, where the job has a partition, at its end."""
        line = self.lines.get(job.partition or "")
        if line is not None and job.id not in line:
            line.append(job.id)

    def leave(self, job: ModelJob) -> None:
        """Leave the line; whoever is first then, and waits for that, is to be offered."""
        line = self.lines.get(job.partition or "")
        if line is None:
            return
        if job.id in line:
            line.remove(job.id)
        self.call_first(line)

    def call_first(self, line: list[str]) -> None:
        first = self.jobs[line[0]] if line else None
        if first is not None and first.behind:
            first.behind, first.unseen = False, FOREVER

    # Enqueueing

    @rule(
        delay=delays,
        key=st.none() | st.sampled_from(["k1", "k2", "k3"]),
        max_attempts=st.integers(1, 3),
        partition=st.sampled_from([None, "a", "b"]),
    )
    def enqueue(
        self, delay: int, key: str | None, max_attempts: int, partition: str | None
    ) -> None:
        message = self.book.message(
            f"j{next(numbers)}",
            key=key,
            delay=delay * HOUR if delay else None,
            max_attempts=max_attempts,
            partition_key=partition,
        )
        receipt = self.book.ledger.enqueue(message)
        if key in self.keys:
            assert receipt == self.keys[key]
            assert receipt.duplicate
            return
        assert (receipt.job_id, receipt.duplicate) == (message.id, False)
        assert (receipt.scheduled_at is not None) == bool(delay)
        job = ModelJob(message.id, max_attempts, key, receipt, state="", partition=partition)
        job.wait(delay)
        if not delay:
            self.join(job)
        self.jobs[job.id] = job
        if key:
            self.keys[key] = receipt

    @some()
    @rule(number=pick)
    def enqueue_again(self, number: int) -> None:
        job = self.any_of(number)
        message = self.book.message(job.id, key=job.key, max_attempts=job.max_attempts)
        assert self.book.ledger.enqueue(message) == job.receipt

    # Holding

    @some("ready", "leased")
    @rule(number=pick, worker=workers, limited=flags)
    def claim(self, number: int, worker: str, limited: bool) -> None:  # noqa: FBT001
        self.claim_as_expected(self.any_of(number, "ready", "leased"), worker, limited)

    @some("ready")
    @rule(number=pick, worker=workers)
    def claim_what_is_ready(self, number: int, worker: str) -> None:
        self.claim_as_expected(self.any_of(number, "ready"), worker, False)

    @some("scheduled", *ENDED)
    @rule(number=pick, worker=workers)
    def claim_what_is_not_to_be_run(self, number: int, worker: str) -> None:
        job = self.any_of(number, "scheduled", *ENDED)
        self.claim_as_expected(job, worker, False)

    def claim_as_expected(self, job: ModelJob, worker: str, limited: bool) -> None:  # noqa: FBT001
        limit = 2 if limited else None
        fence = self.fence(worker)
        expected = self.expected_verdict(job, limit)
        claim = self.book.claim(job.id, fence, limit=limit)
        assert claim.verdict is expected
        if expected is Verdict.GRANTED:
            job.state, job.fence = "leased", fence
            job.attempt, job.lease, job.hold = job.attempt + 1, 1, 4
            job.fences.append(fence)
        elif job.state == "ready" and expected in (Verdict.LIMITED, Verdict.PAUSED):
            job.unseen = FOREVER
        elif expected is Verdict.BEHIND:
            job.behind = True
            self.call_first(self.lines[job.partition or ""])
        assert (claim.attempt, claim.max_attempts) == (job.attempt, job.max_attempts)
        assert claim.fence == job.fence
        assert claim.last_checkpoint == job.checkpoint

    def expected_verdict(  # noqa: PLR0911 - the order of these questions is what is tested
        self, job: ModelJob, limit: int | None
    ) -> Verdict:
        if job.state in ENDED:
            return Verdict.SETTLED
        if job.state == "scheduled":
            return Verdict.NOT_DUE
        if job.state == "leased":
            return Verdict.HELD
        line = self.lines.get(job.partition or "")
        if line is not None and line[0] != job.id:
            return Verdict.BEHIND
        if self.paused:
            return Verdict.PAUSED
        held = sum(other.state == "leased" for other in self.jobs.values())
        if limit and held >= limit:
            return Verdict.LIMITED
        return Verdict.GRANTED if job.attempt < job.max_attempts else Verdict.EXHAUSTED

    @some("leased")
    @rule(number=pick, value=st.integers())
    def hold_on(self, number: int, value: int) -> None:
        job = self.any_of(number, "leased")
        claim = self.book.claim(job.id, job.fence)
        assert (claim.verdict, claim.attempt) == (Verdict.GRANTED, job.attempt)
        answer = self.book.ledger.report("orders", job.id, job.fence, "checkpoint", value)
        assert answer == (True, job.cancel_requested)
        job.checkpoint = value
        assert self.book.extend(job.id, job.fence) == ("held", job.cancel_requested)
        job.lease = min(1, job.hold)

    @some("ready")
    @rule(number=pick, buried=st.sampled_from([False, False, True]))
    def stand_in_a_worker(self, number: int, buried: bool) -> None:  # noqa: FBT001
        job = self.any_of(number, "ready")
        assert self.book.extend(job.id, "w1/0") == ("waiting", False)
        job.unseen, job.behind = 0, False
        if buried:
            # It has no holder, and needs no fence.
            job.state = "dead"
            self.leave(job)
            self.counts["dead"] += 1
            assert self.book.bury(job.id, "") is True
            assert self.book.bury(job.id, "") is True

    # Settling, each twice: the second answer is the first one's

    @some("leased")
    @rule(number=pick, delay=delays, reason=st.sampled_from(["ValueError", "KeyError"]))
    def retry(self, number: int, delay: int, reason: str) -> None:
        job = self.any_of(number, "leased")
        if job.cancel_requested:
            # There is no other attempt; it waits to be cancelled by its holder.
            assert self.book.retry(job.id, job.fence) is False
            return
        fence = job.settled_by = job.fence
        job.wait(delay)
        job.fail(reason)
        self.counts["retries"] += 1
        assert self.book.retry(job.id, fence, delay=delay * HOUR, reason=reason) is True
        assert self.book.retry(job.id, fence, delay=delay * HOUR, reason=reason) is True

    @some("leased")
    @rule(number=pick, state=st.sampled_from(["completed", "dead"]))
    def end(self, number: int, state: str) -> None:
        job = self.any_of(number, "leased")
        job.state = state
        self.leave(job)
        self.counts[state] += 1
        settle = self.book.complete if state == "completed" else self.book.bury
        assert settle(job.id, job.fence) is True
        assert settle(job.id, job.fence) is True

    @some("leased")
    @rule(number=pick)
    def release(self, number: int) -> None:
        job = self.any_of(number, "leased")
        if job.cancel_requested:
            assert self.book.release(job.id, job.fence) is False
            return
        fence = job.settled_by = job.fence
        job.attempt -= 1
        job.wait(0)
        assert self.book.release(job.id, fence) is True
        assert self.book.release(job.id, fence) is True

    @some("leased")
    @rule(number=pick, dead=dead_or_none, bury=flags)
    def settle_for_the_holder(self, number: int, dead: str, bury: bool) -> None:  # noqa: FBT001
        job = self.any_of(number, "leased")
        abandoned, fence = job.abandoned(dead), job.fence
        settle = self.book.bury if bury else self.book.retry
        options = {} if bury else {"delay": NOW}
        goes_on = abandoned and (bury or not job.cancel_requested)
        assert settle(job.id, fence, abandoned=self.book.abandoned(dead), **options) is goes_on
        if not goes_on:
            return
        if bury:
            job.state = "dead"
            self.leave(job)
        else:
            job.wait(0)
            job.fail("ValueError")
        self.counts["dead" if bury else "retries"] += 1

    @some()
    @rule(number=pick, other=pick)
    def settle_with_a_stale_fence(self, number: int, other: int) -> None:
        job = self.any_of(number)
        fence = self.stale(job, other)
        assert self.book.complete(job.id, fence) is False
        assert self.book.retry(job.id, fence) is False
        assert self.book.bury(job.id, fence) is False
        assert self.book.release(job.id, fence) is False
        assert self.book.ledger.report("orders", job.id, fence, "checkpoint", 0) == (False, False)
        if job.state != "ready":
            assert self.book.extend(job.id, fence) == ("lost", False)
        if job.state in UNFINISHED:
            assert self.book.cancel(job.id, fence=fence) == "lost"

    @some("scheduled", *ENDED)
    @rule(number=pick)
    def settle_what_nobody_holds(self, number: int) -> None:
        job = self.any_of(number, "scheduled", *ENDED)
        fence = job.fence or "nobody/0"
        assert self.book.complete(job.id, fence) is (job.state == "completed" and bool(job.fence))
        assert self.book.bury(job.id, fence) is (job.state == "dead" and bool(job.fence))
        assert self.book.retry(job.id, fence) is False
        assert self.book.release(job.id, fence) is False
        assert self.book.extend(job.id, fence) == ("lost", False)

    # Cancelling, pausing, redriving, purging

    @some()
    @rule(number=pick, by_holder=flags)
    def cancel(self, number: int, by_holder: bool) -> None:  # noqa: FBT001
        job = self.any_of(number)
        held = job.state == "leased"
        answer = self.book.cancel(job.id, fence=job.fence if held and by_holder else "")
        if held and not by_holder:
            assert answer == "requested"
            job.cancel_requested = True
        elif job.state in ("completed", "dead"):
            assert answer == "settled"
        else:
            assert answer == "done"
            self.counts["cancelled"] += job.state != "cancelled"
            job.state = "cancelled"
            self.leave(job)

    @rule(paused=st.sampled_from([False, False, True]))
    def pause_or_resume(self, paused: bool) -> None:  # noqa: FBT001
        self.paused = paused
        if paused:
            self.book.ledger.pause("orders", "tea")
        else:
            self.book.ledger.resume("orders")

    @some("dead")
    @rule(number=pick, delay=delays)
    def redrive(self, number: int, delay: int) -> None:
        job = self.any_of(number, "dead")
        assert self.book.redrive(job.id, delay * HOUR) is not None
        job.attempt, job.cancel_requested = 0, False
        job.failed_for, job.failed_times = "", 0
        job.wait(delay)
        if not delay:
            self.join(job)
        assert self.book.redrive(job.id, delay * HOUR) is None

    @some("dead")
    @rule(number=pick)
    def purge(self, number: int) -> None:
        job = self.any_of(number, "dead")
        assert self.book.ledger.purge("orders", job.id) is True
        assert self.book.ledger.purge("orders", job.id) is False
        del self.jobs[job.id]
        assert self.book.where(job.id) == (None, set())
        assert self.book.claim(job.id).verdict is Verdict.UNKNOWN

    # Time, and maintenance

    @some(*UNFINISHED)
    @rule(number=pick, for_all=flags)
    def time_passes(self, number: int, for_all: bool) -> None:  # noqa: FBT001
        chosen = self.any_of(number, *UNFINISHED)
        for job in list(self.jobs.values()) if for_all else [chosen]:
            if job.state in UNFINISHED:
                self.book.age(job.id, STEP * HOUR)
                job.lease, job.hold, job.due = job.lease - STEP, job.hold - STEP, job.due - STEP
                job.unseen += STEP

    @rule(dead=st.sets(workers))
    def maintenance_looks(self, dead: set[str]) -> None:
        expired = {
            j.id
            for j in self.jobs.values()
            if j.state == "leased" and (j.lease <= 0 or j.worker in dead)
        }
        assert set(self.book.expired(*dead)) == expired
        due = {j.id for j in self.jobs.values() if j.state == "scheduled" and j.due <= 0}
        assert set(self.book.take_due()) == due
        # In the order in which they came due; what came due at once, by its id.
        for job_id in sorted(due, key=lambda each: (self.jobs[each].due, each)):
            self.jobs[job_id].wait(0)
            self.join(self.jobs[job_id])
        lost = {
            j.id
            for j in self.jobs.values()
            if j.state == "ready" and j.unseen >= 1 and not j.behind and not self.paused
        }
        assert set(self.book.take_lost(HOUR)) == lost
        for job_id in lost:
            self.jobs[job_id].unseen = 0
        assert (self.book.take_due(), self.book.take_lost(HOUR)) == ([], [])

    # What must hold after every call

    @invariant()
    def every_job_is_what_the_model_says(self) -> None:
        with self.client.pipeline(transaction=False) as pipe:
            for job in self.jobs.values():
                pipe.hgetall(self.book.keys.job(job.id))
            records = pipe.execute()
        for job, record in zip(self.jobs.values(), records, strict=True):
            assert (record["state"], int(record["attempt"])) == (job.state, job.attempt)
            assert record.get("fence", "") == job.fence, "there is one holder, the one that we know"
            failed = (record.get("failedFor", ""), int(record.get("failedTimes", 0)))
            assert failed == (job.failed_for, job.failed_times)
            if job.state in ("completed", "cancelled"):
                assert self.ended.setdefault(job.id, record) == record, "what has ended stays so"

    @invariant()
    def a_key_is_kept_until_its_job_has_ended(self) -> None:
        keyed = [j for j in self.jobs.values() if j.key]
        with self.client.pipeline(transaction=False) as pipe:
            for job in keyed:
                pipe.hget(self.book.keys.idempotency(str(job.key)), "id")
                pipe.pttl(self.book.keys.idempotency(str(job.key)))
            answers = pipe.execute()
        for job, owner, left in zip(keyed, answers[::2], answers[1::2], strict=True):
            assert owner == job.id
            assert (left > 0) == (job.state in ENDED)

    @invariant()
    def every_job_is_in_the_sorted_set_of_its_state(self) -> None:
        with self.client.pipeline(transaction=False) as pipe:
            for state in STATES:
                pipe.zrange(getattr(self.book.keys, state), 0, -1)
            pipe.hgetall(self.book.keys.stats)
            *members, stats = pipe.execute()
        for state, found in zip(STATES, members, strict=True):
            assert set(found) == {j.id for j in self.jobs.values() if j.state == state}
        assert {name: int(count) for name, count in stats.items()} == {
            name: count for name, count in self.counts.items() if count
        }

    @invariant()
    def whoever_is_unfinished_stands_in_line(self) -> None:
        for name, line in self.lines.items():
            assert self.client.zrange(self.book.keys.line(name), 0, -1) == line

    def teardown(self) -> None:
        for key in self.client.scan_iter(f"{{{self.book.ledger.namespace}:*", count=1000):
            self.client.delete(key)


@pytest.fixture
def machine(ledger_client: redis.Redis) -> type[LedgerMachine]:
    return type("Machine", (LedgerMachine,), {"client": ledger_client})


@pytest.mark.timeout(900)  # thousands of steps, and minutes of shrinking if one of them fails
def test_no_sequence_of_calls_breaks_the_ledger(machine: type[LedgerMachine]) -> None:
    """One holder at most, every job in the one set of its state, and what ended stays so."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=220,
            stateful_step_count=60,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
